package console

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// browser is one without JavaScript.
type browser struct {
	t      *testing.T
	base   string
	cookie string // empty: nobody told it the token
}

// open asks for a page, or sends a form, and goes where that leads.
func (b *browser) open(path string, form url.Values) (status int, text string) {
	b.t.Helper()
	for method := http.MethodPost; ; method, form = http.MethodGet, nil {
		if form == nil {
			method = http.MethodGet
		}
		r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
		if err != nil {
			b.t.Fatal(err)
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if b.cookie != "" {
			r.AddCookie(&http.Cookie{Name: cookieName(r), Value: b.cookie})
		}
		response, body := send(b.t, r)
		if response.StatusCode != http.StatusSeeOther {
			return response.StatusCode, body
		}
		path = response.Header.Get("Location")
	}
}

// wants opens a page, and wants texts in it.
func (b *browser) wants(path string, form url.Values, status int, texts ...string) string {
	b.t.Helper()
	got, body := b.open(path, form)
	if got != status {
		b.t.Errorf("%s: got %d, want %d", path, got, status)
	}
	for _, text := range texts {
		if !strings.Contains(html.UnescapeString(body), text) {
			b.t.Errorf("%s: got\n%s\nwant %q in it", path, body, text)
		}
	}
	return body
}

// fields are those of a JSON object.
func fields(t *testing.T, text string) (all map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return all
}

// timeline reads the rows of an order's page, as JSON has them.
func timeline(t *testing.T, page string) (rows []any) {
	t.Helper()
	document, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := range document.Descendants() {
		switch {
		case n.DataAtom == atom.Table:
			names = nil
		case n.DataAtom == atom.Th:
			names = append(names, textOf(n))
		case n.DataAtom == atom.Tr && len(names) == 10 && n.FirstChild.DataAtom == atom.Td:
			row := map[string]any{}
			for cell := range n.ChildNodes() {
				name := names[len(row)]
				row[name] = textOf(cell)
				if name == "time" {
					row[name] = cell.FirstChild.Attr[0].Val
				}
				if name == "implied" {
					row[name] = textOf(cell) == "true"
				}
			}
			maps.DeleteFunc(row, func(_ string, value any) bool { return value == "" || value == false })
			rows = append(rows, row)
		}
	}
	return rows
}

func textOf(n *html.Node) (text string) {
	for child := range n.Descendants() {
		if child.Type == html.TextNode {
			text += child.Data
		}
	}
	return text
}

// compared waits until a comparison has ended, and returns the page that tells what it found.
func (b *browser) compared() string {
	b.t.Helper()
	if status, body := b.open("/agree", url.Values{"x": {"1"}}); status != http.StatusOK {
		b.t.Fatalf("got %d\n%s", status, body)
	}
	page := ""
	eventually(b.t, "the comparison has ended", func() bool {
		_, page = b.open("/agree", nil)
		return !strings.Contains(page, "Comparing")
	})
	return html.UnescapeString(page)
}
