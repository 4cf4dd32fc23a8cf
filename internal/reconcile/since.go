package reconcile

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
)

// telling is a row that tells of a key, and when it was written.
type telling struct {
	At  time.Time
	Key string
}

// noKey is before all others.
const noKey = "00000000-0000-0000-0000-000000000000"

// What tells of keys in the order of its index, after a row and before the keys that are compared anyway.
const (
	changesAfter = `
		SELECT at, order_id::text AS key
		FROM changes
		WHERE (at, order_id) > ($1::timestamptz, $2::uuid) AND order_id <= $3::uuid
		ORDER BY at, order_id
		LIMIT $4`
	refundsAfter = `
		SELECT at, payment_id::text AS key
		FROM ledger
		WHERE kind = 'REFUND' AND (at, payment_id) > ($1::timestamptz, $2::uuid) AND payment_id <= $3::uuid
		ORDER BY at, payment_id
		LIMIT $4`
)

func tellingAfter(
	ctx context.Context, pool *pgxpool.Pool, query string, after telling, upTo string, limit int,
) ([]telling, error) {
	rows, err := pg.QueryInOrder(ctx, pool, query, after.At, after.Key, upTo, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[telling])
}

// orderBlocks returns how large the table of orders is.
func orderBlocks(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	rows, err := pg.Query(ctx, pool, `
		SELECT pg_relation_size('orders') / current_setting('block_size')::bigint`)
	if err != nil {
		return 0, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
}

// orderLag returns by how much ids were behind the database's clock, at most, when their orders were written to the end
// of the table, from a block on. Whoever makes ids has a clock of his own (doc/decisions/one-clock.md), and where an id
// does not begin with a time it seems to be behind by decades: then everything is compared.
func orderLag(ctx context.Context, pool *pgxpool.Pool, block int64) (time.Duration, error) {
	rows, err := pg.Query(ctx, pool, `
		SELECT coalesce(max((extract(epoch FROM created_at) * 1000)::bigint -
			('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint), 0)
		FROM orders
		WHERE ctid >= format('(%s,0)', $1::bigint)::tid`, block)
	if err != nil {
		return 0, err
	}
	ms, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
	return max(0, time.Duration(ms)*time.Millisecond), err
}
