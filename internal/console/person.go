package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/plain"
	"hosho/internal/story"
)

// personPage is the commands that need a person, the oldest first.
type personPage struct {
	Decisions []decision
	Next      string // continues the list; empty on the last page
	First     bool   // this is its beginning
	Notice    notice
}

// decision is a command that needs a person, and what he may do about it.
type decision struct {
	Order      string
	Kind       string // of the command
	Why        string // the name of why it needs a person
	LastCode   string
	Since      time.Time
	Attempts   int32
	Claims     int32
	Sends      int32 // over to a broker
	Outlook    string
	Settles    bool   // it may be settled by hand
	Back       string // the page that the decision leads back to
	ShowsForms bool
}

// person lists what needs a person.
func (c *Console) person(v *visit) error {
	return c.showPerson(v, http.StatusOK, v.notice())
}

func (c *Console) showPerson(v *visit, status int, n notice) error {
	after := v.URL.Query().Get("after")
	reply, err := c.services().Outbox.ListParked(v.Context(), &relayv1.ListParkedRequest{PageToken: after})
	if err != nil {
		return err
	}
	p := personPage{Next: reply.GetNextPageToken(), First: after == "", Notice: n}
	for _, command := range reply.GetCommands() {
		if d, needed := v.decision(command.GetOrderId(), command, fromPerson); needed {
			p.Decisions = append(p.Decisions, d)
		}
	}
	return v.showAs(status, "person", v.view.words.text("title.person"), p)
}

// decision is what may be decided about a command, where that needs a person.
func (v *visit) decision(orderID string, command *relayv1.ParkedCommand, back string) (decision, bool) {
	return decision{
		Order: orderID, Kind: story.Kind(command.GetKind()), Why: whyName(command),
		LastCode: plain.Text(command.GetLastCode()), Since: command.GetCreateTime().AsTime(),
		Attempts: command.GetAttempts(), Claims: command.GetClaims(), Sends: command.GetSends(),
		Outlook: v.view.outlook(command),
		Settles: slices.Contains(order.ConflictCodes, command.GetLastCode()), Back: back, ShowsForms: v.may,
	}, command.GetWhy() != relayv1.ParkedCommand_WHY_UNSPECIFIED
}

func whyName(command *relayv1.ParkedCommand) string {
	return strings.TrimPrefix(command.GetWhy().String(), "WHY_")
}

// outlook says what happens to a command that nobody touches.
func (v *view) outlook(command *relayv1.ParkedCommand) string {
	o := story.OutlookOf(command)
	key := "outlook." + string(o.Name)
	switch {
	case o.At == nil:
		return v.words.text(key)
	case o.Sends > 0:
		return v.words.text(key, v.times(o.Sends), moment(o.At.AsTime()))
	}
	return v.words.text(key, moment(o.At.AsTime()))
}

func (v *view) times(n int32) string {
	if n == 1 {
		return v.words.text("times.one")
	}
	return v.words.text("times.many", n)
}
