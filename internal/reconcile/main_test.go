package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pgtest"
	"hosho/internal/reconcile"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// The orders of a healthy system, each named by the last digits of its id.
const (
	paid       = "00000000-0000-7000-8000-000000000001"
	declined   = "00000000-0000-7000-8000-000000000002"
	refunded   = "00000000-0000-7000-8000-000000000003"
	pending    = "00000000-0000-7000-8000-000000000004"
	cancelling = "00000000-0000-7000-8000-000000000005"
	unknown    = "ffffffff-0000-7000-8000-000000000009"
)

// system is both databases of a system at work.
type system struct{ orders, payments *pgtest.Database }

// healthy makes them. The triggers that would refuse damage are disarmed.
func healthy(t *testing.T) system {
	t.Helper()
	s := system{pgtest.Orders(t), pgtest.Payments(t)}
	s.fill(t)
	return s
}

func (s system) fill(t *testing.T) {
	t.Helper()
	for _, table := range []string{"payments", "ledger"} {
		run(t, s.payments.Pool, `ALTER TABLE `+table+` DISABLE TRIGGER USER`)
	}
	run(t, s.orders.Pool, `ALTER TABLE orders DISABLE TRIGGER USER`)
	for _, o := range [][3]string{
		{paid, "COMPLETED", ""},
		{declined, "CANCELLED", "PAYMENT_DECLINED"},
		{refunded, "CANCELLED", "CUSTOMER"},
		{pending, "PENDING", ""},
		{cancelling, "CANCELLING", "DEADLINE"},
	} {
		run(t, s.orders.Pool, `
			INSERT INTO orders (id, customer_id, items, amount_minor, currency, status, cancel_reason, deadline_at)
			VALUES ($1, 'ada', '[{"name": "tea", "quantity": 1, "unit_price": 600}]', 600, 'JPY', $2, nullif($3, ''),
				now() + '1 hour')`,
			o[0], o[1], o[2])
	}
	run(t, s.orders.Pool, `INSERT INTO outbox (key, kind, payload) VALUES ($1, 'CHARGE', ''), ($2, 'VOID', '')`,
		pending, cancelling)
	for _, p := range [][3]string{
		{paid, "CHARGED", ""}, {declined, "DECLINED", "EXPIRED"}, {refunded, "REFUNDED", ""}, {pending, "CHARGED", ""},
	} {
		run(t, s.payments.Pool, `
			INSERT INTO payments (id, customer_id, amount_minor, currency, status, decline_reason)
			VALUES ($1, 'ada', 600, 'JPY', $2, nullif($3, ''))`, p[0], p[1], p[2])
	}
	run(t, s.payments.Pool, `
		INSERT INTO ledger (payment_id, kind, amount_minor, currency)
		VALUES ($1, 'CHARGE', 600, 'JPY'), ($2, 'CHARGE', 600, 'JPY'), ($2, 'REFUND', 600, 'JPY'),
			($3, 'CHARGE', 600, 'JPY')`,
		paid, refunded, pending)
}

func run(t testing.TB, pool *pgxpool.Pool, query string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// runAll runs statements that are separated by semicolons.
func runAll(t testing.TB, pool *pgxpool.Pool, statements string) {
	t.Helper()
	for statement := range strings.SplitSeq(statements, ";") {
		run(t, pool, statement)
	}
}

// look runs a reconciliation, and returns its findings as "class id", sorted, beside the findings themselves.
func look(
	t testing.TB, orders, payments *pgxpool.Pool, o reconcile.Options,
) ([]string, []reconcile.Finding, reconcile.Summary) {
	t.Helper()
	var got []string
	var found []reconcile.Finding
	o.Found = func(f reconcile.Finding) error {
		got, found = append(got, string(f.Class)+" "+f.OrderID), append(found, f)
		return nil
	}
	summary, err := reconcile.Run(t.Context(), orders, payments, o)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return got, found, summary
}

// plantPayment is the statement that plants a payment, as those of healthy are.
func plantPayment(id, status string) string {
	return `INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		VALUES ('` + id + `', 'ada', 600, 'JPY', '` + status + `')`
}

// plantEntry is the statement that plants an entry of the ledger.
func plantEntry(id, kind string) string {
	return `INSERT INTO ledger (payment_id, kind, amount_minor, currency)
		VALUES ('` + id + `', '` + kind + `', 600, 'JPY')`
}
