package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/money"
	"hosho/internal/plain"
	"hosho/internal/span"
	"hosho/internal/story"
)

//go:embed templates
var templateFiles embed.FS

// renderer makes pages, in each language.
type renderer struct{ views []*view }

// view is the pages in one language.
type view struct {
	lang  string
	words words
	pages map[string]*template.Template
}

func newRenderer() (*renderer, error) {
	r := &renderer{}
	for _, tag := range languages {
		v, err := newView(tag.String())
		if err != nil {
			return nil, err
		}
		r.views = append(r.views, v)
	}
	return r, nil
}

// of is the view of a visitor, by what his browser says that he reads.
func (r *renderer) of(accept string) *view { return r.views[languageOf(accept)] }

// newView reads the templates: each page stands in the layout, beside the parts that all may have.
func newView(lang string) (*view, error) {
	said, err := readWords(lang)
	if err != nil {
		return nil, err
	}
	v := &view{lang: lang, words: said, pages: map[string]*template.Template{}}
	shared, err := template.New("").Funcs(v.functions()).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/pages/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		of, err := shared.Clone()
		if err == nil {
			of, err = of.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, err
		}
		v.pages[strings.TrimSuffix(path.Base(file), ".html")] = of
	}
	return v, nil
}

// functions are what templates may call.
func (v *view) functions() template.FuncMap {
	return template.FuncMap{
		"t": v.words.text,
		"money": func(minor int64, code string) string {
			return money.Local(minor, code, v.lang)
		},
		"plain": plain.Text,
		"clock": clock, "moment": moment, "exact": exact, "instant": instant, "machine": machine,
		"span":  func(d time.Duration) string { return span.Text(d) },
		"count": money.Grouped,
		"hms":   hms, "coarse": coarse, "short": short, "rate": rate, "class": class, "tone": tone, "orderOf": orderOf,
		"happening": v.happening,
		"status":    story.Status, "kind": story.Kind, "why": story.Why,
		"reason": func(r orderv1.Order_CancelReason) string {
			return v.said("reason.", strings.TrimPrefix(r.String(), "CANCEL_REASON_"))
		},
	}
}

// page makes a page from the template of its name.
func (v *view) page(name string, p page) ([]byte, error) { return v.part(name, "layout.html", p) }

// part makes one part of a page.
func (v *view) part(name, part string, data any) ([]byte, error) {
	of, ok := v.pages[name]
	if !ok {
		return nil, fmt.Errorf("there is no template %s", name)
	}
	var text bytes.Buffer
	if err := of.ExecuteTemplate(&text, part, data); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
