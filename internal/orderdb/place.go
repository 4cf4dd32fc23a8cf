package orderdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hosho/internal/batch"
	"hosho/internal/failpoint"
	"hosho/internal/order"
	"hosho/internal/pg"
)

// ErrRequestIDReused says that the customer used the request id before, for another order.
var ErrRequestIDReused = errors.New("the request id was used before with other fields")

const (
	// aloneWaits is how long an order that is placed by itself waits for whoever is about to use its request id.
	aloneWaits = 3 * time.Second
	// batchWaits is how long a batch does: all of it waits for one.
	batchWaits = 500 * time.Millisecond
	// partWaits is how long a part of it does, when it is known that one of the batch has to wait and not which one.
	partWaits = 50 * time.Millisecond
	// mostWaits is how often that is done: where a whole table is locked, each of them would have to wait.
	mostWaits = 20
)

// NewOrder is an order to be placed. Its fields have been validated.
type NewOrder struct {
	ID          string // a new UUIDv7: List takes its order for the order of time
	CustomerID  string
	RequestID   string // makes Place repeatable; empty: each call places an order
	Items       []order.Item
	AmountMinor int64 // the total of the items, in the currency's minor unit
	Currency    string
	Deadline    time.Duration // from now, by the database's clock; then a PENDING order is given up
	Traceparent string        // W3C trace context of the request; may be empty
}

// Placed is what became of one of the orders that were to be placed together.
type Placed struct {
	Order order.Order // as it is now
	Fresh bool        // it was written now, and not by an earlier request with the same id
	Err   error       // its own fault: then neither the order nor a command was written, but for pg.ErrCommitUnknown
}

// Place is PlaceAll for one order.
func (s *Store) Place(ctx context.Context, n NewOrder) (o order.Order, fresh bool, err error) {
	placed, err := s.PlaceAll(ctx, []NewOrder{n})
	if err != nil {
		return order.Order{}, false, err
	}
	return placed[0].Order, placed[0].Fresh, placed[0].Err
}

// PlaceAll writes orders with their CHARGE commands, each with its command or not at all, and all in one statement. It
// returns what became of each, in their order: one whose customer used the request id before, for the same fields, is
// that order as it is now; for other fields its Err is ErrRequestIDReused. What is one order's fault is no other's: the
// statement is done again without it. One that would have to wait for somebody else who is about to use its request id
// has an Err that pg.Classify calls a Collision; given alone, it waits for seconds.
//
// An error is that of all of them, and nothing was written, unless it is pg.ErrCommitUnknown. No context reaches the
// statement, which commits by itself. When its answer is lost it is sent again with the same ids: whatever of it was
// written is found by them. It is not taken apart then: a part that fails would say nothing of the first time.
func (s *Store) PlaceAll(ctx context.Context, news []NewOrder) ([]Placed, error) {
	failpoint.Here(failpoint.PlaceBefore)
	placed := make([]Placed, len(news))
	wanted := s.inOrder(news, placed)
	waits, waited := batchWaits, 0
	if len(news) == 1 {
		waits = aloneWaits
	}
	var collision error
	do := func(part []*wanting) (none struct{}, err error) {
		if waited > mostWaits {
			return none, collision
		}
		if err = s.write(ctx, part, waits); pg.Classify(err) == pg.Collision {
			waits, collision = partWaits, err
			waited++
		}
		return none, err
	}
	for part := range batch.Bisect(wanted, do, ofOne) {
		if part.Err == nil {
			continue
		}
		left := unanswered(part.Items)
		if len(left) == len(news) && !ofOne(part.Err) {
			return nil, fmt.Errorf("place %d orders: %w", len(news), part.Err)
		}
		refuse(left, part.Err)
	}
	failpoint.Here(failpoint.PlaceCommitted)
	return placed, nil
}

// ofOne reports whether an error of a batch may be one order's: a row that the database does not take, or a request id
// that somebody else is about to use.
func ofOne(err error) bool {
	fault := pg.Classify(err)
	return fault == pg.Unexpected || fault == pg.Collision
}

// refuse gives orders an error.
func refuse(wanted []*wanting, err error) {
	for _, w := range wanted {
		w.answer(Placed{Err: fmt.Errorf("place order %s: %w", w.new.ID, err)})
	}
}
