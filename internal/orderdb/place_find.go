package orderdb

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
)

// find answers those that are there already: the order itself, which is sent again, or the one that its request id
// belongs to. It returns the others.
//
// It is a statement of its own, since the insert's snapshot may be older than the order that stood in its way; under
// READ COMMITTED this one's is not. The lookups are lookups whatever the statistics say.
func (s *Store) find(ctx context.Context, wanted []*wanting) (missing []*wanting, err error) {
	rows, err := pg.Query(ctx, s.pool, `
		SELECT o.*, (c.place - 1)::bigint AS place
		FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS c (id, customer_id, request_id, place)
		CROSS JOIN LATERAL (
			SELECT `+orderColumns+`, request_hash
			FROM orders
			WHERE orders.id = c.id
			UNION ALL
			SELECT `+orderColumns+`, request_hash
			FROM orders
			WHERE orders.customer_id = c.customer_id AND orders.request_id = c.request_id
			LIMIT 1
		) AS o`, ids(wanted), customers(wanted), requestIDs(wanted))
	if err != nil {
		return nil, fmt.Errorf("read the orders of %d requests: %w", len(wanted), err)
	}
	type earlier struct {
		row
		RequestHash []byte
		Place       int64
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[earlier])
	if err != nil {
		return nil, fmt.Errorf("read the orders of %d requests: %w", len(wanted), err)
	}
	for _, f := range found {
		w := wanted[f.Place]
		switch own := f.ID == w.new.ID; {
		case own, bytes.Equal(f.RequestHash, w.requestHash):
			w.answer(Placed{Order: f.order(), Fresh: own})
		default:
			refuse([]*wanting{w}, ErrRequestIDReused)
		}
	}
	return unanswered(wanted), nil
}
