package orderdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// watchedAtOnce is how many orders one query of Watched looks at.
const watchedAtOnce = 1000

// Watched reads many orders with few queries, and tells of them a few at a time, so that their items need not all be
// held at once. seen holds, by order id, the status that the caller knows, or "" for none; an order that still has that
// status is left out, so that a wake-up costs what has changed. Unknown ids are left out too.
func (s *Store) Watched(ctx context.Context, seen map[string]order.Status, tell func([]order.Order)) error {
	ids, statuses := make([]string, 0, len(seen)), make([]string, 0, len(seen))
	for id, status := range seen {
		ids, statuses = append(ids, id), append(statuses, string(status))
	}
	for len(ids) > 0 {
		n := min(len(ids), watchedAtOnce)
		changed, looked, err := s.changed(ctx, ids[:n], statuses[:n])
		if err != nil {
			return fmt.Errorf("read %d watched orders: %w", n, err)
		}
		tell(changed)
		ids, statuses = ids[looked:], statuses[looked:]
	}
	return nil
}

// changed returns the first of some orders that have left their status, and how many it has looked at. OFFSET 0 keeps
// the lookup of each a lookup.
func (s *Store) changed(ctx context.Context, ids, statuses []string) (orders []order.Order, looked int, err error) {
	rows, err := pg.QueryInOrder(ctx, s.reads, `
		SELECT `+orderColumns+`, at
		FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS seen (seen_id, seen_status, at)
		CROSS JOIN LATERAL (
			SELECT `+orderColumns+`
			FROM orders
			WHERE id = seen_id AND status <> seen_status
			OFFSET 0
		) AS o
		ORDER BY at
		LIMIT $3`, ids, statuses, window)
	if err != nil {
		return nil, 0, err
	}
	looked = len(ids)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		row
		At int
	}])
	if len(found) == window {
		looked = found[window-1].At
	}
	for _, r := range found {
		orders = append(orders, r.order())
	}
	return orders, looked, err
}
