package console

import (
	"context"
	"net/http"
	"time"

	"hosho/internal/plain"
	"hosho/internal/reconcile"
	"hosho/internal/span"
)

// agreePage is what the last comparison of the two databases found.
type agreePage struct {
	Can   bool // the console was given both databases
	Last  *look
	Found []classFound // the dearest first
	Fails int64        // findings that are failures
	Took  string

	Nameless bool // placeholders stand for customers in what was found
}

// classFound is the findings of a class.
type classFound struct {
	Class    reconcile.Class
	Fails    bool
	Count    int64
	More     int64 // that are not shown
	Findings []reconcile.Finding
}

// renewal is how soon the page asks anew while a comparison goes on, in seconds: a browser does that without a script.
const renewal = "1"

// agree shows what the last comparison found, or how far it has come.
func (c *Console) agree(v *visit) error {
	p := agreePage{Can: c.config.Compare != nil}
	if last, any := c.looks.last(); any {
		p.tell(last)
	}
	p.Nameless = len(p.Found) > 0 && !c.config.ShowCustomers
	if p.Last != nil && p.Last.Running() {
		v.w.Header().Set("Refresh", renewal)
	}
	return v.show("agree", p)
}

func (p *agreePage) tell(last look) {
	p.Last = &last
	p.Took = span.Text(last.ended(time.Now()).Sub(last.Began).Round(time.Millisecond))
	for _, class := range reconcile.Classes {
		n := last.Summary.Findings[class.Class]
		if n == 0 {
			continue
		}
		shown := last.Shown[class.Class]
		more := n - int64(len(shown))
		if class.Fails() {
			p.Fails += n
		}
		p.Found = append(p.Found, classFound{class.Class, class.Fails(), n, more, shown})
	}
}

// compare begins a comparison, unless one goes on, and leads to the page that tells of it.
func (c *Console) compare(v *visit) error {
	if c.config.Compare == nil {
		return &problem{http.StatusNotFound, "agree.cannot", nil}
	}
	c.looks.begin(c.config.Operator, time.Now(), func(ctx context.Context, l *looks) (reconcile.Summary, error) {
		return c.config.Compare(ctx, reconcile.Options{
			Nameless: !c.config.ShowCustomers, Found: l.found, Progress: l.sofar,
		})
	})
	return v.goTo("/agree")
}

// compareNoMore ends a comparison that goes on.
func (c *Console) compareNoMore(v *visit) error {
	c.looks.stop()
	return v.goTo("/agree")
}

// plainly is a finding whose texts may stand on a line: they hold what others sent.
func plainly(f reconcile.Finding) reconcile.Finding {
	f.Found, f.Todo = plain.Text(f.Found), plain.Text(f.Todo)
	return f
}
