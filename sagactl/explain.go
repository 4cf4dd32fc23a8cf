package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"hosho/internal/story"
	"hosho/internal/terminal"
)

type explain struct {
	orderd
	paymentd
	relay
	Order string `arg:"" help:"The order's id."`
	JSON  bool   `help:"Print one JSON object."`
}

// errIncomplete says that not everybody could be asked. Who, and why, has been printed by then.
var errIncomplete = errors.New("the explanation is incomplete")

// AfterApply is called by kong.
func (e *explain) AfterApply(c *certificate) error {
	return errors.Join(e.orderd.AfterApply(c), e.paymentd.AfterApply(c), e.relay.AfterApply(c))
}

// Validate is called by kong.
func (e *explain) Validate() error {
	if err := uuid.Validate(e.Order); err != nil {
		return fmt.Errorf("order: got %q, want a UUID", e.Order)
	}
	return errors.Join(e.orderd.Validate(), e.paymentd.Validate(), e.relay.Validate())
}

// Run tells what happened to an order, as far as the services answer. Of a payment without an order it tells that, and
// returns errDiffers.
func (e *explain) Run(ctx context.Context, screen *terminal.Terminal) error {
	services, err := e.services()
	if err != nil {
		return err
	}
	s := story.Ask(ctx, services, e.Order)
	if s.Unknown() {
		return finding(fmt.Sprintf("nobody knows an order %s", e.Order))
	}
	if e.JSON {
		err = s.Encode(screen)
	} else {
		printStory(screen, s)
	}
	switch {
	case err != nil:
		return err
	case len(s.Silent) > 0:
		return errIncomplete
	case s.NoOrder():
		return errDiffers
	}
	return nil
}

func (e *explain) services() (story.Services, error) {
	orders, err := e.orders()
	payments, err2 := e.payments()
	outbox, err3 := e.outbox()
	return story.Services{Orders: orders, Payments: payments, Outbox: outbox}, errors.Join(err, err2, err3)
}

func printStory(t *terminal.Terminal, s story.Story) {
	t.Line("%s  %s", t.Paint(terminal.Bold, "ORDER  "), s.OrderLine())
	t.Line("%s  %s", t.Paint(terminal.Bold, "PAYMENT"), s.PaymentLine())
	for _, next := range s.Next() {
		t.Line("%s  %s", t.Paint(terminal.Bold, "NEXT   "), t.Paint(styles[next.Tone], next.What))
	}
	if id := s.TraceID(); id != "" {
		t.Line("%s  %s", t.Paint(terminal.Bold, "TRACE  "), id)
	}
	t.Line("\n%s", t.Paint(terminal.Bold, fmt.Sprintf("%-27s  %-8s  %s", "TIME", "FROM", "WHAT")))
	for _, m := range s.History() {
		t.Line("%s  %-8s  %s%s", t.Paint(terminal.Dim, m.Time.Local().Format("2006-01-02 15:04:05.000 MST")), m.From,
			t.Paint(styles[m.Tone], m.What), t.Paint(terminal.Dim, details(m, s.TraceID())))
	}
	for _, silent := range s.Silent {
		t.Line("\n%s", t.Paint(terminal.Red, "incomplete: "+silent.Err.Error()))
	}
}

// details are what is not for everybody. The order's own trace is told above.
func details(m story.Moment, traceID string) string {
	text := ""
	if by := m.Relay + m.Who; by != "" && by != m.From {
		text += "  by " + by
	}
	if m.TraceID != "" && m.TraceID != traceID {
		text += "  trace " + m.TraceID
	}
	if m.Implied {
		text += "  (implied: it is not recorded, but follows from what is)"
	}
	return text
}
