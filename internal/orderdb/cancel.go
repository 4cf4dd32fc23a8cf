package orderdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/failpoint"
	"hosho/internal/order"
	"hosho/internal/pg"
)

// Cancel gives an order up because its customer wants so: the status and the VOID command are written together. It
// returns the order as it is afterwards; changed is false when it was CANCELLING or CANCELLED before. traceparent is
// the W3C trace context of the request, and may be empty. An order that does not exist is ErrNotFound.
func (s *Store) Cancel(ctx context.Context, id, traceparent string) (o order.Order, changed bool, err error) {
	var from order.Status
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		o, from, err = s.cancel(ctx, tx, id, traceparent)
		return err
	})
	if err != nil {
		return order.Order{}, false, fmt.Errorf("cancel order %s: %w", id, err)
	}
	failpoint.Here(failpoint.CancelCommitted)
	if o.Status == from {
		return o, false, nil
	}
	s.metrics.leave(from, o, o.UpdatedAt)
	return o, true, nil
}

// cancel only ever adds to the outbox: orderd has no right to take commands out, and order.Apply asks it for none. It
// returns the order as it is then, and the status that it had.
func (s *Store) cancel(
	ctx context.Context, tx pgx.Tx, id, traceparent string,
) (o order.Order, from order.Status, err error) {
	o, err = lockOneOf(ctx, tx, id, s.of)
	if err != nil {
		return o, "", err
	}
	from = o.Status
	t, err := order.Apply(o.State(), order.CustomerCancels)
	if err != nil || !t.Changes(o.State()) {
		return o, from, err
	}
	if err := leave(ctx, tx, []change{{
		id: o.ID, from: o.Status, to: t.To.Status, reason: t.Reason,
		cause: order.CustomerCancels, who: customersWay, traceparent: &traceparent,
	}}); err != nil {
		return o, from, err
	}
	failpoint.Here(failpoint.CancelBetween)
	if t.Void {
		void, err := voidOf(s.encode, o, &traceparent)
		if err != nil {
			return o, from, err
		}
		if err := Outbox.Ensure(ctx, tx, void); err != nil {
			return o, from, err
		}
	}
	o, err = lockOne(ctx, tx, id) // as it is now, with the database's time of the change
	return o, from, err
}

// lockOne waits for whoever is changing the order, and returns what they left. FOR UPDATE then keeps the order as it
// was read, but for this transaction's own changes, until the transaction ends. Unknown ids are ErrNotFound.
func lockOne(ctx context.Context, tx pgx.Tx, id string) (order.Order, error) {
	return lockOneOf(ctx, tx, id, order.Everybody)
}

// lockOneOf is lockOne of an order of some customers.
func lockOneOf(ctx context.Context, tx pgx.Tx, id string, customers order.Customers) (order.Order, error) {
	which, args := ``, []any{id}
	if !customers.All {
		which, args = ` AND `+theirs(2), append(args, paramsOf(customers)...)
	}
	return collectOne(tx.Query(ctx, `
		SELECT `+orderColumns+`
		FROM orders
		WHERE id = $1`+which+`
		FOR UPDATE`, args...))
}
