package orderdb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
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
	return watched(ctx, seen, s.changed, tell)
}

// Progress is Watched of orders of which only what changes is wanted: id, status, cancel reason, and when. The rest may
// be a hundred times longer. It sorts what was seen: of most orders that is one status, and each takes a query.
func (s *Store) Progress(ctx context.Context, seen []Seen, tell func(News)) error {
	slices.SortStableFunc(seen, func(a, b Seen) int { return strings.Compare(string(a.Status), string(b.Status)) })
	return watched(ctx, seen, s.progressed, tell)
}

func watched(
	ctx context.Context, seen []Seen,
	read func(context.Context, []Seen) (orders []order.Order, looked int, err error), tell func(News),
) error {
	for len(seen) > 0 {
		n := min(len(seen), watchedAtOnce)
		changed, looked, err := read(ctx, seen[:n])
		if err != nil {
			return fmt.Errorf("read %d watched orders: %w", n, err)
		}
		tell(News{Orders: changed, Missing: missing(seen[:looked], changed)})
		seen = seen[looked:]
	}
	return nil
}

func missing(seen []Seen, found []order.Order) (ids []string) {
	asked := func(s Seen) bool { return s.Status == "" }
	if !slices.ContainsFunc(seen, asked) { // as where orders are waited for that this process has placed
		return nil
	}
	exists := make(map[string]bool, len(found))
	for _, o := range found {
		exists[o.ID] = true
	}
	for _, s := range seen {
		if asked(s) && !exists[s.ID] {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// changed returns the first of some orders that have left their status, and how many it has looked at. OFFSET 0 keeps
// the lookup of each a lookup.
func (s *Store) changed(ctx context.Context, seen []Seen) (orders []order.Order, looked int, err error) {
	ids, err := idsOf(seen)
	if err != nil {
		return nil, 0, err
	}
	statuses := make([]string, len(seen))
	for i, one := range seen {
		statuses[i] = string(one.Status)
	}
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

// progressed returns what has changed of the first of some orders that have left their status, up to one of which
// another status was seen, and how many it has looked at. It is asked for after each change that somebody waits for,
// and is not planned anew each time: it has one plan, whatever its parameters are.
func (s *Store) progressed(ctx context.Context, seen []Seen) (orders []order.Order, looked int, err error) {
	looked = len(seen)
	if i := slices.IndexFunc(seen, func(one Seen) bool { return one.Status != seen[0].Status }); i > 0 {
		looked = i
	}
	ids, err := idsOf(seen[:looked])
	if err != nil {
		return nil, 0, err
	}
	rows, asked, err := s.readProgress(ctx, ids, seen[0].Status)
	if err != nil {
		return nil, 0, err
	}
	var (
		id        pgtype.UUID
		o         order.Order
		completed pgtype.Timestamptz
	)
	what := []any{&id, &o.Status, &o.CancelReason, &o.UpdatedAt, &completed}
	_, err = pgx.ForEachRow(rows, what, func() error {
		if asked(id.Bytes) {
			o.ID, o.CompletedAt = uuid.UUID(id.Bytes).String(), completed.Time
			orders = append(orders, o)
		}
		return nil
	})
	return orders, looked, err
}

// readProgress reads the orders of some ids that have left a status. Of orders that lie near each other it reads all
// from the first to the last, with one look into the index, and asked reports of a row whether it was asked for: that
// takes half of what it takes to look up each, and a join that does is a third more again.
func (s *Store) readProgress(
	ctx context.Context, ids pg.UUIDs, status order.Status,
) (rows pgx.Rows, asked func([16]byte) bool, err error) {
	const left = `
		SELECT id, status, coalesce(cancel_reason, ''), updated_at, completed_at
		FROM orders
		WHERE status <> $1 AND `
	between, near := nearSpan(ids)
	if !near {
		rows, err = pg.Query(ctx, s.reads, left+`id = ANY($2::uuid[])`, status, ids)
		return rows, func([16]byte) bool { return true }, err
	}
	some := make(map[[16]byte]struct{}, len(ids))
	for _, id := range ids {
		some[id] = struct{}{}
	}
	asked = func(id [16]byte) bool {
		_, found := some[id]
		return found
	}
	rows, err = pg.Query(ctx, s.reads, left+`id BETWEEN $2 AND $3`, status, between.first, between.last)
	return rows, asked, err
}

// idsOf returns the ids of what is seen as a parameter.
func idsOf(seen []Seen) (pg.UUIDs, error) {
	ids := make(pg.UUIDs, len(seen))
	for i, one := range seen {
		id, err := idOf(one.ID)
		if err != nil {
			return nil, err
		}
		ids[i] = id.Bytes
	}
	return ids, nil
}

// idOf returns an id as bytes, which the server need not parse.
func idOf(id string) (pgtype.UUID, error) {
	parsed, err := uuid.Parse(id)
	return pgtype.UUID{Bytes: parsed, Valid: true}, err
}
