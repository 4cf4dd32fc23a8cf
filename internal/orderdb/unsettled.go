package orderdb

import (
	"context"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// drives is the command in the outbox that an unsettled order has, by its status.
var drives = map[order.Status]order.Command{order.Pending: order.Charge, order.Cancelling: order.Void}

// keyWindow is how many keys are read at once. They are small, and few of them may have an order of the status.
const keyWindow = 500

// lookInOutbox is lookInOrders for everybody's unsettled orders, by the keys of their commands.
func (s *Store) lookInOutbox(ctx context.Context, f Filter, after string, limit, most int) (view, error) {
	v, ids, err := s.keys(ctx, drives[f.Status], after, min(most, keyWindow))
	if err != nil || len(ids) == 0 {
		return v, err
	}
	v.orders, err = s.among(ctx, ids, f.Status, limit)
	if len(v.orders) == limit { // there may be more of them among the keys
		v.last, v.end = v.orders[limit-1].ID, false
	}
	return v, err
}

// keys looks at so many commands after a key, and returns the keys of those of a kind. Of an order's two commands the
// VOID comes first: a window that ends between them has not passed over a CANCELLING order, and the order is not
// PENDING.
func (s *Store) keys(ctx context.Context, kind order.Command, after string, n int) (v view, ids []string, err error) {
	rows, err := pg.QueryInOrder(ctx, s.reads, `
		SELECT key::text AS id, kind
		FROM `+Outbox.Keys()+` AS c
		WHERE key < $1
		ORDER BY key DESC, kind DESC
		LIMIT $2`, after, n)
	if err != nil {
		return view{}, nil, err
	}
	var found struct {
		key  string
		kind order.Command
	}
	_, err = pgx.ForEachRow(rows, []any{&found.key, &found.kind}, func() error {
		if v.looked, v.last = v.looked+1, found.key; found.kind == kind {
			ids = append(ids, found.key)
		}
		return nil
	})
	v.end = v.looked < n
	return v, ids, err
}

// among returns, in the sequence of the ids, the first of their orders that have a status. OFFSET 0 keeps the lookup of
// each a lookup.
func (s *Store) among(ctx context.Context, ids []string, status order.Status, limit int) ([]order.Order, error) {
	return collect(pg.QueryInOrder(ctx, s.reads, `
		SELECT `+orderColumns+`
		FROM unnest($1::uuid[]) WITH ORDINALITY AS c (key, at)
		CROSS JOIN LATERAL (
			SELECT `+orderColumns+`
			FROM orders
			WHERE orders.id = c.key AND status = $2 AND `+theirs(4)+`
			OFFSET 0
		) AS o
		ORDER BY at
		LIMIT $3`, append([]any{ids, status, limit}, paramsOf(s.of)...)...))
}
