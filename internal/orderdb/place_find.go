package orderdb

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/pg"
)

// find answers those that were not written from what was in their way: themselves, when they are sent again, or the
// order that the request id belongs to.
//
// It is a statement of its own, since the insert's snapshot may be older than the order that stood in its way; under
// READ COMMITTED this one's is not. The lookups are lookups whatever the statistics say.
func (s *Store) find(ctx context.Context, missing []*wanting) error {
	ids, customers := make([]pgtype.UUID, len(missing)), make([]string, len(missing))
	requestIDs := make([]*string, len(missing))
	for i, w := range missing {
		ids[i], customers[i], requestIDs[i] = w.id, w.new.CustomerID, w.requestID
	}
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
		) AS o`, ids, customers, requestIDs)
	if err != nil {
		return fmt.Errorf("read the orders of %d requests: %w", len(missing), err)
	}
	type earlier struct {
		row
		RequestHash []byte
		Place       int64
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[earlier])
	if err != nil {
		return fmt.Errorf("read the orders of %d requests: %w", len(missing), err)
	}
	for _, w := range missing {
		w.placed.Err = fmt.Errorf("place order %s: it was not written, and nothing was in its way", w.new.ID)
	}
	for _, f := range found {
		w := missing[f.Place]
		switch own := f.ID == w.new.ID; {
		case own, bytes.Equal(f.RequestHash, w.requestHash):
			*w.placed = Placed{Order: f.order(), Fresh: own}
		default:
			w.placed.Err = fmt.Errorf("place order %s: %w", w.new.ID, ErrRequestIDReused)
		}
	}
	return nil
}
