package orderdb

import (
	"context"
	"fmt"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// Watched reads many orders with one query. seen holds, by order id, the status that the caller knows, or "" for none;
// an order that still has that status is left out, so that a wake-up costs what has changed. Unknown ids are left out
// too.
func (s *Store) Watched(ctx context.Context, seen map[string]order.Status) ([]order.Order, error) {
	ids, statuses := make([]string, 0, len(seen)), make([]string, 0, len(seen))
	for id, status := range seen {
		ids, statuses = append(ids, id), append(statuses, string(status))
	}
	orders, err := collect(pg.Query(ctx, s.reads, `
		SELECT `+orderColumns+`
		FROM orders
		JOIN unnest($1::uuid[], $2::text[]) AS seen (seen_id, seen_status) ON id = seen_id
		WHERE status <> seen_status`,
		ids, statuses))
	if err != nil {
		return nil, fmt.Errorf("read %d watched orders: %w", len(ids), err)
	}
	return orders, nil
}
