package orderdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/pg"
)

// ErrNotParked says that an order settles by itself: the payment service has not said that its key is another's, nor
// that what was paid is not refunded.
var ErrNotParked = errors.New("the order is not parked: it settles by itself")

// Retry is an operator's word that a command is to be tried again.
type Retry struct {
	OrderID  string
	Kind     order.Command
	Operator string
	Reason   string
}

// Retry makes a command due at once, parked or not, and writes down who wanted that and why, in one transaction. It
// reports whether there is such a command. One that a relay holds is left with it.
func (s *Store) Retry(ctx context.Context, r Retry) (found bool, err error) {
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		found, err = retry(ctx, tx, r)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("retry the %s of order %s: %w", r.Kind, r.OrderID, err)
	}
	return found, nil
}

func retry(ctx context.Context, tx pgx.Tx, r Retry) (found bool, err error) {
	state, err := Outbox.Retry(ctx, tx, r.OrderID, string(r.Kind))
	if err != nil || state == outbox.Absent {
		return false, err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO audit (order_id, action, kind, operator, reason) VALUES ($1, 'RETRY', $2, $3, $4)`,
		r.OrderID, r.Kind, r.Operator, r.Reason)
	return err == nil, err
}

// Backlog counts the commands in the outbox, those of each kind that there are any of.
func (s *Store) Backlog(ctx context.Context) ([]outbox.Backlog, error) {
	return Outbox.Backlog(ctx, s.reads)
}

// Tally counts the commands in the outbox, up to most of those of a kind that are due, that wait, and that are parked.
func (s *Store) Tally(ctx context.Context, most int) ([]outbox.Tally, error) {
	return Outbox.Tally(ctx, s.reads, most, string(order.Charge), string(order.Void))
}

// DeadTuples returns how many dead versions of rows the outbox has.
func (s *Store) DeadTuples(ctx context.Context) (int64, error) {
	return Outbox.DeadTuples(ctx, s.reads)
}

// Decision is what an operator decided about an order.
type Decision struct {
	OrderID  string
	Operator string
	Reason   string
	Codes    []string // the LastCode of a command that makes its order need a person
}

// SettleByHand cancels an order that the saga can never settle, and writes down who decided and why, in one
// transaction. It returns the order as it is afterwards, and false when it was settled by hand before. It returns
// ErrNotFound, or ErrNotParked for an order none of whose commands came to one of the codes.
func (s *Store) SettleByHand(ctx context.Context, d Decision) (o order.Order, changed bool, err error) {
	var from order.Status
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		o, from, err = settleByHand(ctx, tx, d)
		return err
	})
	if err != nil {
		return order.Order{}, false, fmt.Errorf("settle order %s by hand: %w", d.OrderID, err)
	}
	if from == "" {
		return o, false, nil
	}
	s.metrics.leave(from, o, o.UpdatedAt)
	return o, true, nil
}

// settleByHand returns the order as it is then, and the status that it was settled from: none, when it was not now.
func settleByHand(ctx context.Context, tx pgx.Tx, d Decision) (o order.Order, from order.Status, err error) {
	o, err = lockOne(ctx, tx, d.OrderID)
	if err != nil {
		return o, "", err
	}
	decided, parked, err := standing(ctx, tx, d)
	if err != nil || decided {
		return o, "", err
	}
	t, illegal := order.Apply(o.State(), order.OperatorSettles)
	if illegal != nil || !parked {
		return o, "", ErrNotParked
	}
	if err := leave(ctx, tx, []change{{
		id: o.ID, from: o.Status, to: t.To.Status, reason: t.Reason, cause: order.OperatorSettles, who: d.Operator,
	}}); err != nil {
		return o, "", err
	}
	if err := Outbox.RemoveAll(ctx, tx, []string{o.ID}); err != nil {
		return o, "", err
	}
	_, err = tx.Exec(ctx, `INSERT INTO audit (order_id, action, operator, reason) VALUES ($1, 'SETTLE', $2, $3)`,
		d.OrderID, d.Operator, d.Reason)
	if err != nil {
		return o, "", err
	}
	from = o.Status
	o, err = lockOne(ctx, tx, d.OrderID) // as it is now, with the database's time of the change
	return o, from, err
}

// standing tells whether the order was settled by hand before, and whether it needs to be.
func standing(ctx context.Context, tx pgx.Tx, d Decision) (decided, parked bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM audit WHERE order_id = $1 AND action = 'SETTLE'),
			EXISTS (SELECT FROM `+Outbox.View()+` AS c WHERE c.key = $1 AND c.code = ANY($2))`,
		d.OrderID, d.Codes).Scan(&decided, &parked)
	return decided, parked, err
}
