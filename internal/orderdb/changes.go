package orderdb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
)

// customersWay is who made a change that a customer asked for.
const customersWay = "orderd"

// tell writes down the changes of orders that do not go well, with the time that leave has given the orders. That an
// order was COMPLETED has no row: its own row says when, and only one event leads there.
func tell(ctx context.Context, tx pgx.Tx, changes []change) error {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c change) bool { return c.to == order.Completed })
	if len(changes) == 0 {
		return nil
	}
	var (
		ids          = make([]string, len(changes))
		froms        = make([]string, len(changes))
		causes       = make([]string, len(changes))
		whos         = make([]string, len(changes))
		traceparents = make([]*string, len(changes))
	)
	for i, c := range changes {
		ids[i], froms[i], causes[i] = c.id, string(c.from), c.cause.String()
		whos[i], traceparents[i] = c.who, c.traceparent
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO changes (order_id, from_status, to_status, at, cause, who, trace_id)
		SELECT orders.id, c.from_status, orders.status, orders.updated_at, c.cause, c.who, `+traceID+`
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
			AS c (id, from_status, cause, who, traceparent)
		JOIN orders ON orders.id = ANY(ARRAY[c.id])`, // see leave
		ids, froms, causes, whos, traceparents)
	if err != nil {
		return fmt.Errorf("tell a change of status: %w", err)
	}
	return nil
}

// StatusChange is a change of an order's status.
type StatusChange struct {
	From    order.Status // empty: not known
	To      order.Status
	At      time.Time
	Cause   string // the event's words; empty: not known
	Who     string // made it; empty: not known
	TraceID *string
}

// changesOf returns the changes of an order's status that its rows tell of, the first of them first. What a program
// that wrote no rows has left is the order's last change, and when it was COMPLETED; a change between those is missing.
func changesOf(ctx context.Context, tx pgx.Tx, o order.Order) ([]StatusChange, error) {
	rows, err := tx.Query(ctx, `
		SELECT from_status AS from, to_status AS to, at, cause, who, trace_id
		FROM changes
		WHERE order_id = $1
		ORDER BY id`, o.ID)
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	recorded, err := pgx.CollectRows(rows, pgx.RowToStructByName[StatusChange])
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	changes := append(completion(o), recorded...)
	last := order.Pending
	if n := len(changes); n > 0 {
		last = changes[n-1].To
	}
	if last != o.Status {
		changes = append(changes, StatusChange{To: o.Status, At: o.UpdatedAt})
	}
	return changes, nil
}

// completion is how the order became COMPLETED, if it is or was.
func completion(o order.Order) []StatusChange {
	at := o.CompletedAt
	if o.Status == order.Completed {
		at = o.UpdatedAt
	}
	if at.IsZero() {
		return nil
	}
	return []StatusChange{{From: order.Pending, To: order.Completed, At: at, Cause: order.PaymentCharged.String()}}
}
