package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// fillStep is how many rows are written at a time.
const fillStep = 100_000

// An id as orderd would have made it some days ago, so that the index grows at its end: UUIDs of version 7, each
// millisecond one, and the number.
const filledID = `(lpad(to_hex($3::bigint + n), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid`

const fillOrders = `
	INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, status, deadline_at)
	SELECT ` + filledID + `, 'bench-' || lpad((n % 1000)::text, 3, '0'), gen_random_uuid()::text,
		decode(md5(n::text) || md5(n::text), 'hex'), '[{"name": "tea", "quantity": 1, "unit_price": 1200}]', 1200,
		'JPY', 'COMPLETED', clock_timestamp() + interval '15 min'
	FROM generate_series($1::bigint, $2::bigint) AS n`

const fillPayments = `
	WITH paid AS (
		INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		SELECT ` + filledID + `, 'bench-' || lpad((n % 1000)::text, 3, '0'), 1200, 'JPY', 'CHARGED'
		FROM generate_series($1::bigint, $2::bigint) AS n
		RETURNING id, amount_minor, currency
	)
	INSERT INTO ledger (payment_id, kind, amount_minor, currency)
	SELECT id, 'CHARGE', amount_minor, currency FROM paid`

// fill writes orders that were settled long ago, with their payments.
func (s *system) fill(ctx context.Context, n int) error {
	began := time.Now()
	s.tell(fmt.Sprintf("writing %d settled orders and their payments", n))
	epoch := began.Add(-time.Duration(n)*time.Millisecond - 24*time.Hour).UnixMilli()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.fillTable(ctx, s.orders, fillOrders, "orders", n, epoch) })
	group.Go(func() error { return s.fillTable(ctx, s.payments, fillPayments, "payments", n, epoch) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("write settled orders: %w", err)
	}
	s.tell(fmt.Sprintf("written in %v", time.Since(began).Round(time.Second)))
	return nil
}

// fillTable writes rows as a replica would: the triggers that refuse an order which is born COMPLETED are not asked.
func (s *system) fillTable(ctx context.Context, pool *pgxpool.Pool, insert, what string, n int, epoch int64) error {
	for from := 1; from <= n; from += fillStep {
		to := min(from+fillStep-1, n)
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, insert, from, to, epoch)
			return err
		})
		if err != nil {
			return err
		}
		s.tick(fmt.Sprintf("%d of %d %s", to, n, what))
	}
	_, err := pool.Exec(ctx, `VACUUM ANALYZE`) // as time would have
	return err
}
