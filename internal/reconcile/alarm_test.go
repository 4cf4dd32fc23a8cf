package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pgtest"
	"hosho/internal/reconcile"
)

// hooked is a pool that calls before each query that reads a table, with the number of that query.
func hooked(t *testing.T, db *pgtest.Database, table string, before func(n int)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	config.ConnConfig.Tracer = &hook{table: table, before: before}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

type hook struct {
	table  string
	before func(int)
	n      int // queries come one after the other
}

func (h *hook) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "FROM "+h.table) {
		h.n++
		h.before(h.n)
	}
	return ctx
}

func (*hook) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A completed order was read. Before its payment is read, its customer cancels it, and it is refunded and settled, at
// once or step by step. Whenever that happens, nothing was ever wrong.
func TestARefundInBetweenIsNoFinding(t *testing.T) {
	t.Parallel()
	const (
		cancel = `
			UPDATE orders SET status = 'CANCELLING', cancel_reason = 'CUSTOMER', updated_at = clock_timestamp()
			WHERE id = '` + paid + `';
			INSERT INTO outbox (key, kind, payload) VALUES ('` + paid + `', 'VOID', '')`
		settle = `
			UPDATE orders SET status = 'CANCELLED', updated_at = clock_timestamp() WHERE id = '` + paid + `';
			DELETE FROM outbox WHERE key = '` + paid + `'`
		refund = `
			UPDATE payments SET status = 'REFUNDED', updated_at = clock_timestamp() WHERE id = '` + paid + `';
			INSERT INTO ledger (payment_id, kind, amount_minor, currency) VALUES ('` + paid + `', 'REFUND', 600, 'JPY')`
	)
	for cancelled := 1; cancelled <= 3; cancelled++ {
		for settled := cancelled; settled <= 4; settled++ {
			s := healthy(t)
			moves := 0
			payments := hooked(t, s.payments, "payments", func(n int) {
				if n == cancelled {
					moves++
					runTogether(t, s.orders.Pool, cancel)
					runTogether(t, s.payments.Pool, refund)
				}
				if n == settled {
					moves++
					runTogether(t, s.orders.Pool, settle)
				}
			})
			got, _, summary := look(t, s.orders.Pool, payments, reconcile.Options{})
			if len(got) > 0 || !summary.Clean {
				t.Errorf("cancelled before query %d, settled before query %d: got %q, want nothing", cancelled, settled,
					got)
			}
			if cancelled == 1 && moves == 0 {
				t.Error("nothing happened in between")
			}
		}
	}
}

// An order is placed and paid after the orders of its window were read: its payment is seen, and the order is not. It
// is read again, and cancelled and refunded after that, before its payment is.
func TestAnOrderThatIsPlacedInBetweenIsNoFinding(t *testing.T) {
	t.Parallel()
	s := healthy(t)
	payments := hooked(t, s.payments, "payments", func(n int) {
		if n == 2 {
			run(t, s.orders.Pool, `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = $1`,
				unknown)
			runTogether(t, s.payments.Pool,
				`UPDATE payments SET status = 'REFUNDED' WHERE id = '`+unknown+`';`+plantEntry(unknown, "REFUND"))
		}
		if n > 1 {
			return
		}
		run(t, s.orders.Pool, `
			INSERT INTO orders (id, customer_id, items, amount_minor, currency, status, deadline_at)
			VALUES ($1, 'ada', '[{"name": "tea", "quantity": 1, "unit_price": 600}]', 600, 'JPY', 'COMPLETED',
				now() + '1 hour')`, unknown)
		runTogether(t, s.payments.Pool, plantPayment(unknown, "CHARGED")+`;`+plantEntry(unknown, "CHARGE"))
	})
	if got, _, summary := look(t, s.orders.Pool, payments, reconcile.Options{}); len(got) > 0 || summary.Payments != 5 {
		t.Errorf("got %q and %d payments, want nothing and 5", got, summary.Payments)
	}
}

// A stranded order was found, and settles before it is repaired. The repair finds nothing to do.
func TestAnOrderThatSettlesBeforeItsRepairIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := healthy(t)
	run(t, s.orders.Pool, `DELETE FROM outbox WHERE key = $1`, pending)
	orders := hooked(t, s.orders, "orders\n\t\tWHERE id = $1\n\t\tFOR UPDATE", func(n int) {
		run(t, s.orders.Pool, `UPDATE orders SET status = 'COMPLETED' WHERE id = $1`, pending)
	})
	got, found, summary := look(t, orders, s.payments.Pool, reconcile.Options{Repair: true})
	if !slices.Equal(got, []string{
		"stranded " + pending,
	}) || found[0].Repair != "nothing: it is COMPLETED by now" || summary.PutBack > 0 {
		t.Errorf("got %q, repaired so: %q; want the order left alone", got, found[0].Repair)
	}
	if got, _, _ := look(t, s.orders.Pool, s.payments.Pool, reconcile.Options{}); len(got) > 0 {
		t.Errorf("afterwards: got %q, want nothing", got)
	}
}

// runTogether runs statements in one transaction, as the daemons do.
func runTogether(t *testing.T, pool *pgxpool.Pool, statements string) {
	t.Helper()
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		for statement := range strings.SplitSeq(statements, ";") {
			if _, err := tx.Exec(t.Context(), statement); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}
