package chaos

import (
	"context"
	"math/rand/v2"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"hosho/migrations"
)

// What the next release might bring: a column for each table that every request uses, in the order of locks.
var (
	nextOrders = fstest.MapFS{"90000_next.sql": {Data: []byte(`-- +goose Up
ALTER TABLE orders ADD COLUMN next text;
ALTER TABLE outbox ADD COLUMN next text;
-- +goose Down
ALTER TABLE orders DROP COLUMN next;
ALTER TABLE outbox DROP COLUMN next;
`)}}
	nextPayments = fstest.MapFS{"90000_next.sql": {Data: []byte(`-- +goose Up
ALTER TABLE payments ADD COLUMN next text;
ALTER TABLE ledger ADD COLUMN next text;
-- +goose Down
ALTER TABLE payments DROP COLUMN next;
ALTER TABLE ledger DROP COLUMN next;
`)}}
)

// migrate changes the schemas of both databases while somebody reads their tables for long, and back again.
func migrate(ctx context.Context, s *system, _ *rand.Rand) error {
	forever := context.WithoutCancel(ctx)
	orders, err := s.orders.Begin(forever)
	if err != nil {
		return err
	}
	defer orders.Rollback(forever)
	payments, err := s.payments.Begin(forever)
	if err != nil {
		return err
	}
	defer payments.Rollback(forever)
	if err := read(forever, orders, "orders"); err != nil {
		return err
	}
	if err := read(forever, payments, "payments"); err != nil {
		return err
	}
	var up errgroup.Group
	up.Go(func() error {
		_, err := migrations.Apply(forever, s.OrdersURL(), nextOrders, nil)
		return err
	})
	up.Go(func() error {
		_, err := migrations.Apply(forever, s.PaymentsURL(), nextPayments, nil)
		return err
	})
	<-ctx.Done()
	if err := orders.Rollback(forever); err != nil {
		return err
	}
	if err := payments.Rollback(forever); err != nil {
		return err
	}
	if err := up.Wait(); err != nil {
		return err
	}
	if err := migrations.Undo(forever, s.OrdersURL(), nextOrders); err != nil {
		return err
	}
	return migrations.Undo(forever, s.PaymentsURL(), nextPayments)
}

// read has a transaction hold the lock of a reader.
func read(ctx context.Context, tx pgx.Tx, table string) error {
	_, err := tx.Exec(ctx, `LOCK TABLE `+pgx.Identifier{table}.Sanitize()+` IN ACCESS SHARE MODE`)
	return err
}
