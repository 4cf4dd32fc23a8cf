package orderdb

import (
	"context"
	"fmt"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// Filter selects orders. The zero value selects all.
type Filter struct {
	CustomerID string       // empty: everybody's
	Status     order.Status // empty: of any status
}

// List returns at most limit orders that the filter selects, the newest first: the first of them, or those that follow
// the order afterID in that sequence. Ids are UUIDv7, so the sequence is the one in which orderd accepted them, and
// orders made while somebody pages through it come before the pages, not between them.
//
// A customer's page is read from orders_by_customer, any other from the primary key. Status is only a filter on what
// these find: an index that mentions it would make each order's changes of status cost an index entry. A page of a
// status that few orders have reads all of them, therefore. Asking the outbox, where unsettled orders have a row,
// would be faster, but orderd has no right to read it.
func (s *Store) List(ctx context.Context, f Filter, afterID string, limit int) ([]order.Order, error) {
	var after *string
	if afterID != "" {
		after = &afterID
	}
	// Parameters are known when the statement is planned (pg.Open names no statements), so that a condition that is
	// switched off leaves the plan.
	orders, err := collect(pg.Query(ctx, s.reads, `
		SELECT `+orderColumns+`
		FROM orders
		WHERE ($1 = '' OR customer_id = $1)
			AND ($2 = '' OR status = $2)
			AND ($3::uuid IS NULL OR id < $3)
		ORDER BY id DESC
		LIMIT $4`,
		f.CustomerID, f.Status, after, limit))
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return orders, nil
}
