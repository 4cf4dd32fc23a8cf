package reconcile_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pgtest"
	"hosho/internal/reconcile"
)

// Somebody reconciles with the payments database of another environment. Nothing is compared: each order would be a
// finding, and each payment somebody's money that may be given back.
func TestAnotherSystemsPaymentsAreNotCompared(t *testing.T) {
	t.Parallel()
	orders, payments := pgtest.Orders(t).Pool, pgtest.Payments(t).Pool
	run(t, payments, `
		INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		VALUES (gen_random_uuid(), 'ada', 600, 'JPY', 'CHARGED')`)
	found := 0
	reconciled := func() error {
		_, err := reconcile.Run(context.WithoutCancel(t.Context()), orders, payments, reconcile.Options{
			Found: func(reconcile.Finding) error { found++; return nil },
		})
		return err
	}
	if err := reconciled(); err != nil || found != 1 { // no relay has met a paymentd yet
		t.Errorf("no database is trusted: got %v, %d findings, want one", err, found)
	}
	found = 0
	const trusted = "01990000-0000-4000-8000-000000000001"
	run(t, orders, `INSERT INTO payments_database (id) VALUES ($1)`, trusted)
	err := reconciled()
	if err == nil || found > 0 || !strings.Contains(err.Error(), trusted) {
		t.Errorf("another one is trusted: got %v, %d findings, want an error that names it, and none", err, found)
	}
	run(t, orders, `UPDATE payments_database SET id = $1`, identityOf(t, payments))
	if err := reconciled(); err != nil || found != 1 {
		t.Errorf("it is trusted: got %v, %d findings, want one", err, found)
	}
}

func identityOf(t *testing.T, payments *pgxpool.Pool) (is string) {
	t.Helper()
	if err := payments.QueryRow(t.Context(), `SELECT id::text FROM database_identity`).Scan(&is); err != nil {
		t.Fatal(err)
	}
	return is
}
