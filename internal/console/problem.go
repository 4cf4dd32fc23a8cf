package console

import (
	"errors"
	"fmt"
	"net/http"

	"hosho/internal/plain"
)

// problem is why a request is not answered as it was meant: a status of HTTP and a word, with what it is about.
type problem struct {
	status int
	word   string
	about  []any
}

func (p *problem) Error() string { return fmt.Sprint(p.word, " ", p.about) }

// fail answers with a page that says what is wrong. An error that is no problem is that of a daemon.
func (v *visit) fail(err error) {
	p := &problem{http.StatusBadGateway, "problem.daemon", []any{plain.Text(err.Error())}}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		p = &problem{http.StatusRequestEntityTooLarge, "problem.large", []any{tooLarge.Limit}}
	}
	errors.As(err, &p)
	text := v.view.words.text(p.word, p.about...)
	if err := v.showAs(p.status, "problem", v.view.words.text("title.problem"), text); err != nil {
		http.Error(v.w, plain.Text(text), http.StatusInternalServerError)
	}
}
