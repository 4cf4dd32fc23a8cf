package orderdb

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// watchedAtOnce is how many orders one query of Watched looks at.
const watchedAtOnce = 1000

// Seen is an order that is watched, and the status that its watchers know; "" when one knows none.
type Seen struct {
	ID     string
	Status order.Status
}

// News is what a query found of watched orders.
type News struct {
	Orders  []order.Order // that have left the status which was seen
	Missing []string      // the ids of those that do not exist, among those of which no status was known
}

// Watched reads many orders with few queries, and tells of them a few at a time, so that their items need not all be
// held at once. An order that still has the status that was seen is left out, so that a wake-up costs what has changed.
func (s *Store) Watched(ctx context.Context, seen []Seen, tell func(News)) error {
	return s.watched(ctx, seen, orderColumns, window, tell)
}

// withoutItems is orderColumns for who asks for the status of many: an order's items may be a hundred times longer.
var withoutItems = strings.Replace(orderColumns, ` items,`, ` NULL::jsonb AS items,`, 1)

// Progress is Watched of orders without their items.
func (s *Store) Progress(ctx context.Context, seen []Seen, tell func(News)) error {
	return s.watched(ctx, seen, withoutItems, watchedAtOnce, tell)
}

func (s *Store) watched(ctx context.Context, seen []Seen, columns string, most int, tell func(News)) error {
	for len(seen) > 0 {
		n := min(len(seen), watchedAtOnce)
		changed, looked, err := s.changed(ctx, seen[:n], columns, most)
		if err != nil {
			return fmt.Errorf("read %d watched orders: %w", n, err)
		}
		tell(News{Orders: changed, Missing: missing(seen[:looked], changed)})
		seen = seen[looked:]
	}
	return nil
}

func missing(seen []Seen, found []order.Order) (ids []string) {
	exists := make(map[string]bool, len(found))
	for _, o := range found {
		exists[o.ID] = true
	}
	for _, s := range seen {
		if s.Status == "" && !exists[s.ID] {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// changed returns the first of some orders that have left their status, most of them at most, and how many it has
// looked at. OFFSET 0 keeps the lookup of each a lookup.
func (s *Store) changed(
	ctx context.Context, seen []Seen, columns string, most int,
) (orders []order.Order, looked int, err error) {
	ids, statuses := make([]pgtype.UUID, len(seen)), make([]string, len(seen))
	for i, one := range seen {
		if err := ids[i].Scan(one.ID); err != nil {
			return nil, 0, err
		}
		statuses[i] = string(one.Status)
	}
	rows, err := pg.QueryInOrder(ctx, s.reads, `
		SELECT `+orderColumns+`, at
		FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS seen (seen_id, seen_status, at)
		CROSS JOIN LATERAL (
			SELECT `+columns+`
			FROM orders
			WHERE id = seen_id AND status <> seen_status
			OFFSET 0
		) AS o
		ORDER BY at
		LIMIT $3`, ids, statuses, most)
	if err != nil {
		return nil, 0, err
	}
	looked = len(ids)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		row
		At int
	}])
	if len(found) == most {
		looked = found[most-1].At
	}
	for _, r := range found {
		orders = append(orders, r.order())
	}
	return orders, looked, err
}
