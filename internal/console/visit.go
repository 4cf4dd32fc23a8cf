package console

import (
	"net/http"
)

// visit is one request: who asks in which language, and what he may do.
type visit struct {
	*http.Request
	w    http.ResponseWriter
	view *view // in the language that he reads
	may  bool  // act
	form bool  // there are forms at all
	play bool  // there is a stage
}

// visited answers a request by a route.
func (c *Console) visited(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		v := &visit{
			Request: request, w: w, view: c.render.of(request.Header.Get("Accept-Language")),
			may: c.mayAct(request), form: c.hasForms(),
			play: c.stage != nil,
		}
		err := error(nil)
		if r.isAction() && !v.may {
			err = c.refusal()
		} else {
			err = r.handle(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// page is what each page is made of.
type page struct {
	Lang   string
	Path   string // of the page itself
	Title  string
	May    bool // the visitor may act: the page has its forms
	Forms  bool // it would have them for somebody with the token
	Stage  bool // there is a stage to go to
	Status int  // of HTTP
	Data   any  // of the page's own
}

// show answers with a page, which is of a template and under a word of its own.
func (v *visit) show(name string, data any) error {
	return v.showAs(http.StatusOK, name, v.view.words.text("title."+name), data)
}

func (v *visit) showAs(status int, name, title string, data any) error {
	text, err := v.view.page(name, page{
		Lang: v.view.lang, Path: v.URL.Path, Title: title, May: v.may, Forms: v.form, Stage: v.play,
		Status: status, Data: data,
	})
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Language", v.view.lang)
	v.w.Header().Add("Vary", "Accept-Language")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(text) // who does not wait for it has gone
	return nil
}

// goTo has the browser go on to another page, with GET.
func (v *visit) goTo(path string) error {
	http.Redirect(v.w, v.Request, path, http.StatusSeeOther)
	return nil
}
