package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/plain"
	"hosho/internal/rpc"
	"hosho/internal/story"
)

// The pages that somebody may decide on.
const (
	fromOrder  = "order"
	fromPerson = "person"
)

// notice is what a page says first: what was done, or why it was not.
type notice struct {
	Done   string
	Failed string
}

// notice says what the action before this page has done, as the address has it.
func (v *visit) notice() notice {
	query := v.URL.Query()
	id, err := uuid.Parse(query.Get("order"))
	if err != nil {
		return notice{}
	}
	switch query.Get("done") {
	case "retry":
		kind := story.Kind(kindOf(query.Get("kind")))
		return notice{Done: v.view.words.text("decide.retried", kind, id)}
	case "settle":
		return notice{Done: v.view.words.text("decide.settled", id)}
	}
	return notice{}
}

func kindOf(name string) relayv1.ParkedCommand_Kind {
	if name == "VOID" {
		return relayv1.ParkedCommand_KIND_VOID
	}
	return relayv1.ParkedCommand_KIND_CHARGE
}

// retry makes a command due at once. Who wanted it and why is kept, as with sagactl retry.
func (c *Console) retry(v *visit) error {
	kind := kindOf(v.PostFormValue("kind"))
	return c.decide(v, url.Values{"done": {"retry"}, "kind": {story.Kind(kind)}}, func(id, reason string) error {
		_, err := c.services().Outbox.RetryParked(v.Context(), &relayv1.RetryParkedRequest{
			OrderId: id, Kind: kind, Reason: reason, Operator: c.config.Operator,
		})
		return err
	})
}

// settle cancels an order by hand. Who decided and why is kept, as with sagactl settle.
func (c *Console) settle(v *visit) error {
	return c.decide(v, url.Values{"done": {"settle"}}, func(id, reason string) error {
		_, err := c.services().Outbox.SettleParked(v.Context(), &relayv1.SettleParkedRequest{
			OrderId: id, Reason: reason, Operator: c.config.Operator,
		})
		return err
	})
}

// decide does what a form asks for, and leads back to the page that the form was on, which says so.
func (c *Console) decide(v *visit, done url.Values, do func(id, reason string) error) error {
	parsed, err := uuid.Parse(v.PostFormValue("order"))
	if err != nil {
		return &problem{http.StatusBadRequest, "problem.id", []any{plain.Text(v.PostFormValue("order"))}}
	}
	id := parsed.String()
	if err := do(id, strings.TrimSpace(v.PostFormValue("reason"))); err != nil {
		return c.undone(v, id, err)
	}
	done.Set("order", id)
	path := "/person"
	if v.PostFormValue("back") == fromOrder {
		path = "/orders/" + id
	}
	return v.goTo(path + "?" + done.Encode())
}

// undone shows the page that a form was on once more, and why nothing was done.
func (c *Console) undone(v *visit, id string, err error) error {
	status := http.StatusBadGateway
	if rpc.Reason(err) != "" { // it was reached, and refuses
		status = http.StatusConflict
	}
	n := notice{Failed: plain.Text(err.Error())}
	if v.PostFormValue("back") != fromOrder {
		return c.showPerson(v, status, n)
	}
	s, err := c.ask(v.Context(), id)
	if err != nil {
		return err
	}
	return v.showAs(status, "order", v.view.words.text("title.order"), c.orderPage(v, s, n))
}
