package main

import (
	"context"

	"github.com/google/uuid"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/plain"
)

// doubted reports which messages do not say just what their orders do, and what those are there for. It reads the
// others, here and now, so that nobody needs to again.
func (h *handler) doubted(
	ctx context.Context, messages []outbox.Message,
) (doubted []bool, purposes []orderdb.Purpose, err error) {
	doubted = make([]bool, len(messages))
	notes, at := make([]orderdb.Note, 0, len(messages)), make([]int, 0, len(messages))
	var decoder command.Decoder
	for i := range messages {
		note, ok := noteIn(&decoder, &messages[i])
		if facts, known := messages[i].Along.(*orderdb.Facts); ok && known {
			ok = facts.BearOut(&note)
		} else if ok {
			notes, at = append(notes, note), append(at, i)
		}
		doubted[i] = !ok
	}
	if len(notes) > 0 {
		places, err := h.store.Doubtful(ctx, notes)
		if err != nil {
			return nil, nil, err
		}
		for _, place := range places {
			doubted[at[place]] = true
		}
	}
	var doubtful []outbox.Message
	for i := range messages {
		if doubted[i] {
			messages[i].Read = nil
			doubtful = append(doubtful, messages[i])
		}
	}
	if len(doubtful) > 0 {
		purposes, err = h.store.Purposes(ctx, doubtful)
	}
	return doubted, purposes, err
}

// noteIn reads a message, and returns what it says of its order; false when that cannot be what the order says, or
// takes a closer look.
func noteIn(decoder *command.Decoder, m *outbox.Message) (note orderdb.Note, ok bool) {
	c, err := decoder.Decode(order.Command(m.Kind), m.Key, m.Payload)
	if err != nil {
		return note, false
	}
	note.OrderID, err = uuid.Parse(m.Key)
	if err != nil {
		return note, false
	}
	charge, void := c.GetCharge(), c.GetVoid()
	customer, amount := charge.GetCustomerId(), charge.GetAmount()
	switch {
	case charge != nil && m.ExpiresAt != nil && m.ExpiresAt.Equal(charge.GetNotAfter().AsTime()):
		note.Status, note.DeadlineAt = order.Pending, *m.ExpiresAt
	case void != nil && m.ExpiresAt == nil:
		note.Status = order.Cancelling
		customer, amount = void.GetCustomerId(), void.GetAmount()
	default:
		return note, false
	}
	note.CustomerID, note.AmountMinor, note.Currency = customer, amount.GetAmountMinor(), amount.GetCurrencyCode()
	m.Read = c
	return note, plain.IsASCII(note.CustomerID) && plain.IsASCII(note.Currency) // which any database can be told
}
