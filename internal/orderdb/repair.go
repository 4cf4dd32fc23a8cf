package orderdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/pg"
)

// Driven is what Redrive found or did.
type Driven uint8

// What Redrive finds or does. PutBack and MadeDue change the outbox; the others change nothing.
const (
	Settled Driven = iota + 1 // the order is settled: no command drives it
	PutBack                   // its command was missing, and is in the outbox again
	MadeDue                   // its command was to wait, and is due now
	WasDue                    // its command is due already: a relay must run
	Held                      // a relay has claimed its command
	Parked                    // its command waits for a person, who alone may put it back to work
)

// Redriven says what Redrive did.
type Redriven struct {
	Order   order.Order   // as it is
	Command order.Command // the one that drives it; empty when it is settled
	Did     Driven
}

// Redrive sees to it that the command which an order under way waits for is in the outbox and due. It never changes the
// order, and decides under the order's lock. Whoever puts a command in or takes one out holds that lock, but for the
// claim, which takes none out that its order still needs: so the command is missing when it is not seen, and doing it
// twice puts back one. Claims, releases and an operator's retry change commands without it; MakeDue waits for them at
// the command itself. A command that was delivered before is safe to deliver again: its key is the order's. Unknown
// orders are ErrNotFound.
func (s *Store) Redrive(ctx context.Context, id string) (Redriven, error) {
	var done Redriven
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		o, err := lockOne(ctx, tx, id)
		if err != nil {
			return err
		}
		done, err = s.redrive(ctx, tx, o)
		return err
	})
	if err != nil {
		return Redriven{}, fmt.Errorf("redrive order %s: %w", id, err)
	}
	return done, nil
}

func (s *Store) redrive(ctx context.Context, tx pgx.Tx, o order.Order) (Redriven, error) {
	done := Redriven{Order: o, Command: o.Status.Driver(), Did: Settled}
	if done.Command == "" {
		return done, nil
	}
	state, err := Outbox.MakeDue(ctx, tx, o.ID, string(done.Command))
	if err != nil || state != outbox.Absent {
		done.Did = found[state]
		return done, err
	}
	missing, err := s.commandOf(done.Command, o)
	if err != nil {
		return done, err
	}
	done.Did = PutBack
	return done, Outbox.Append(ctx, tx, missing)
}

// found is what Redrive says of a command that is in the outbox.
var found = map[outbox.State]Driven{
	outbox.Waiting: MadeDue, outbox.Due: WasDue, outbox.Leased: Held, outbox.Parked: Parked,
}

// commandOf makes the command of a kind anew from its order.
func (s *Store) commandOf(kind order.Command, o order.Order) (outbox.New, error) {
	if kind == order.Void {
		return voidOf(s.encode, o, nil)
	}
	payload, err := s.encode(kind, o)
	if err != nil {
		return outbox.New{}, err
	}
	return outbox.New{Key: o.ID, Kind: string(kind), Payload: payload, ExpiresAt: o.DeadlineAt}, nil
}
