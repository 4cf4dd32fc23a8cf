package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
)

// What a command comes to that the orders database speaks against. It stands in the outbox as last_code, but for
// codeMismatch: that command is mended, sent, and comes to what its delivery comes to.
const (
	codeUnread   = "ORDER_UNREAD"     // it is not known what the order says
	codeNoOrder  = "NO_ORDER"         // there is none
	codeUnwanted = "UNWANTED"         // the order's status waits for another command, or for none
	codeMismatch = "PAYLOAD_MISMATCH" // its row in the outbox is not what was ordered
)

// atTheCap is a wait that the engine cuts to its longest.
const atTheCap = 24 * time.Hour

// Check holds commands against their orders before they are sent: a row of the outbox is a note about an order and not
// the order, and may have been changed. What was ordered stands in the order's row alone.
//
// Nothing rests on it. The order may change a moment later; a reply is applied to the order as it is then (rule 9).
func (h *handler) Check(
	ctx context.Context, messages []outbox.Message,
) (going []outbox.Message, kept []outbox.Report) {
	doubted, purposes, err := h.doubted(ctx, messages)
	if err != nil {
		h.log.Warn("orders cannot be read: nothing is sent", "messages", len(messages), "error", err)
		for _, m := range messages {
			kept = append(kept, outbox.Report{Message: m, Result: outbox.Withheld, Code: codeUnread})
		}
		return nil, kept
	}
	going = make([]outbox.Message, 0, len(messages))
	for i, m := range messages {
		if !doubted[i] {
			m.Expired = false
			going = append(going, m)
			continue
		}
		m, r := h.check(m, purposes[0])
		purposes = purposes[1:]
		if r != nil {
			kept = append(kept, *r)
		} else {
			going = append(going, m)
		}
	}
	return going, kept
}

// check returns a command as it may be sent, or a report when it must not be.
func (h *handler) check(m outbox.Message, p orderdb.Purpose) (outbox.Message, *outbox.Report) {
	kind := order.Command(m.Kind)
	switch {
	case p.Order == nil:
		return m, &outbox.Report{Message: m, Result: outbox.Stray, Code: codeNoOrder}
	case p.Order.Status.Driver() != kind:
		// A charge would be made only to be kept or given back, a void give back what is paid for. Settling decides
		// what becomes of the command, by the order as it is then. A charge leaves; a void that nobody can have written
		// stays, and waits as long as may be.
		return m, &outbox.Report{Message: m, Result: outbox.Withheld, Code: codeUnwanted, RetryAfter: atTheCap}
	}
	m.Expired = kind == order.Charge && p.Late // a void never is, whatever its row says (rule 7)
	if m.Expired {
		return m, nil
	}
	m, err := h.asOrdered(m, *p.Order)
	if err != nil {
		return m, &outbox.Report{Message: m, Result: outbox.Withheld, Code: codeUnread, Body: err.Error()}
	}
	return m, nil
}

// asOrdered returns a command that asks for what its order says, and calls for a person when its row does not. One that
// cannot be read at all is left to the Dispatcher.
func (h *handler) asOrdered(m outbox.Message, o order.Order) (outbox.Message, error) {
	kind := order.Command(m.Kind)
	found, err := command.Differences(kind, o, m.Payload)
	if err != nil {
		return m, nil
	}
	if found != "" {
		rebuilt, err := command.Encode(kind, o)
		if err != nil {
			return m, err
		}
		m.Payload, m.Rebuilt = rebuilt, true
	}
	if want := expiryOf(kind, o); !command.SameTime(m.ExpiresAt, want) {
		m.ExpiresAt = want
		if found != "" {
			found += ", "
		}
		found += "expiry"
	}
	if found != "" && m.LeasedUntil != nil {
		h.persons.callAbout(m, codeMismatch, notAsOrdered,
			slog.Int("claim", m.Claims), slog.String("differs", found))
	}
	return m, nil
}

// expiryOf returns when an order's command expires, nil: never.
func expiryOf(kind order.Command, o order.Order) *time.Time {
	if kind == order.Charge {
		return &o.DeadlineAt
	}
	return nil
}

// setAside parks commands that have no order. Nobody can say what they are for: they are neither sent nor tried again
// until a person has looked.
func (h *handler) setAside(ctx context.Context, reports []outbox.Report) error {
	if len(reports) == 0 {
		return nil
	}
	messages := make([]outbox.Message, len(reports))
	for i, r := range reports {
		messages[i] = r.Message
	}
	if err := h.store.SetAside(ctx, messages, codeNoOrder); err != nil {
		return err
	}
	for _, m := range messages {
		h.persons.callAbout(m, codeNoOrder, noOrder)
	}
	return nil
}

// parted parts the reports of a result from the others.
func parted(reports []outbox.Report, result outbox.Result) (some, others []outbox.Report) {
	if !slices.ContainsFunc(reports, func(r outbox.Report) bool { return r.Result == result }) {
		return nil, reports
	}
	for _, r := range reports {
		if r.Result == result {
			some = append(some, r)
		} else {
			others = append(others, r)
		}
	}
	return some, others
}
