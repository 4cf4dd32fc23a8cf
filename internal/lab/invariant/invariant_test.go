package invariant_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/lab/invariant"
	"hosho/internal/pgtest"
	"hosho/internal/rules"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// The orders of a healthy system, each named by the last digit of its id.
const (
	paid       = "00000000-0000-7000-8000-000000000001"
	declined   = "00000000-0000-7000-8000-000000000002"
	refunded   = "00000000-0000-7000-8000-000000000003"
	pending    = "00000000-0000-7000-8000-000000000004"
	cancelling = "00000000-0000-7000-8000-000000000005"
)

// healthy makes both databases of a system at work. The triggers that would refuse damage are disarmed.
func healthy(t *testing.T) (orders, payments *pgxpool.Pool) {
	t.Helper()
	orders, payments = pgtest.Orders(t).Pool, pgtest.Payments(t).Pool
	run(t, orders, `ALTER TABLE orders DISABLE TRIGGER USER`)
	run(t, payments, `ALTER TABLE payments DISABLE TRIGGER USER`)
	run(t, payments, `ALTER TABLE ledger DISABLE TRIGGER USER`)
	for _, o := range [][3]string{
		{paid, "COMPLETED", ""},
		{declined, "CANCELLED", "PAYMENT_DECLINED"},
		{refunded, "CANCELLED", "CUSTOMER"},
		{pending, "PENDING", ""},
		{cancelling, "CANCELLING", "DEADLINE"},
	} {
		run(t, orders, `
			INSERT INTO orders (id, customer_id, items, amount_minor, currency, status, cancel_reason, deadline_at)
			VALUES ($1, 'ada', '[{"name": "tea", "quantity": 1, "unit_price": 600}]', 600, 'JPY', $2, nullif($3, ''),
				now() + CASE $3 WHEN 'DEADLINE' THEN interval '0' ELSE '1 hour' END)`,
			o[0], o[1], o[2])
	}
	run(t, orders, `INSERT INTO outbox (key, kind, payload) VALUES ($1, 'CHARGE', ''), ($2, 'VOID', '')`, pending,
		cancelling)
	for _, p := range [][3]string{
		{paid, "CHARGED", ""}, {declined, "DECLINED", "EXPIRED"}, {refunded, "REFUNDED", ""}, {pending, "CHARGED", ""},
	} {
		run(t, payments, `
			INSERT INTO payments (id, customer_id, amount_minor, currency, status, decline_reason)
			VALUES ($1, 'ada', 600, 'JPY', $2, nullif($3, ''))`, p[0], p[1], p[2])
	}
	run(t, payments, `
		INSERT INTO ledger (payment_id, kind, amount_minor, currency)
		VALUES ($1, 'CHARGE', 600, 'JPY'), ($2, 'CHARGE', 600, 'JPY'), ($2, 'REFUND', 600, 'JPY'),
			($3, 'CHARGE', 600, 'JPY')`,
		paid, refunded, pending)
	return orders, payments
}

// payment is the statement that plants a payment, as those of healthy are.
func payment(id, status string) string {
	return `INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		VALUES ('` + id + `', 'ada', 600, 'JPY', '` + status + `')`
}

// entry is the statement that plants an entry of the ledger.
func entry(id, kind string) string {
	return `INSERT INTO ledger (payment_id, kind, amount_minor, currency)
		VALUES ('` + id + `', '` + kind + `', 600, 'JPY')`
}

func run(t *testing.T, pool *pgxpool.Pool, query string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// broken is an invariant that does not hold, and for which order.
type broken struct {
	rule rules.ID
	id   string
}

// check returns what Check finds, sorted.
func check(t *testing.T, orders, payments *pgxpool.Pool, o invariant.Options) []broken {
	t.Helper()
	report, err := invariant.Check(t.Context(), orders, payments, o)
	if err != nil {
		t.Fatal(err)
	}
	var got []broken
	for _, v := range report.Violations {
		got = append(got, broken{v.Rule, v.ID})
	}
	slices.SortFunc(got, byRule)
	return got
}

func byRule(a, b broken) int { return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.id, b.id)) }

var atWork = invariant.Options{MaxAttempts: 5, LongestWait: time.Minute, Sends: true}

func TestASystemAtWorkBreaksNoRule(t *testing.T) {
	t.Parallel()
	orders, payments := healthy(t)
	if got := check(t, orders, payments, atWork); len(got) > 0 {
		t.Errorf("got violations %v, want none", got)
	}
}

func TestAnUnsettledOrderBreaksARuleWhenNothingIsUnderWay(t *testing.T) {
	t.Parallel()
	orders, payments := healthy(t)
	got := check(t, orders, payments, invariant.Options{Quiet: true})
	want := []broken{{rules.I14, pending}, {rules.I14, cancelling}, {rules.I7, "all orders"}}
	if !slices.Equal(got, want) {
		t.Errorf("got violations %v, want %v", got, want)
	}
}

// Each damage is planted by hand into a healthy system, and must be found under its own name.
func TestPlantedDamageIsFound(t *testing.T) {
	t.Parallel()
	const unknown = "00000000-0000-7000-8000-000000000009"
	for _, tt := range []struct {
		name     string
		orders   string
		payments string
		want     []broken
	}{
		{
			name: "charged twice", want: []broken{{rules.I1, paid}, {rules.I7, paid}},
			payments: `ALTER TABLE ledger DROP CONSTRAINT ledger_pkey;` + entry(paid, "CHARGE"),
		},
		{
			name: "refunded without its charge", want: []broken{{rules.I1, declined}, {rules.I7, declined}},
			payments: entry(declined, "REFUND"),
		},
		{
			name: "completed, and voided", want: []broken{{rules.I2, paid}, {rules.I7, paid}},
			payments: `UPDATE payments SET status = 'VOIDED' WHERE id = '` + paid + `'`,
		},
		{
			name: "completed for another amount", want: []broken{{rules.I2, paid}, {rules.I4, paid}},
			orders: `UPDATE orders SET amount_minor = 601 WHERE id = '` + paid + `'`,
		},
		{
			name: "completed for another customer", want: []broken{{rules.I2, paid}, {rules.I4, paid}},
			orders: `UPDATE orders SET customer_id = 'eve' WHERE id = '` + paid + `'`,
		},
		{
			name: "cancelled, and the money is held", want: []broken{{rules.I3, paid}},
			orders: `UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = '` + paid + `'`,
		},
		{
			name: "cancelled, and a late charge may come", want: []broken{{rules.I16, declined}, {rules.I3, declined}},
			payments: `DELETE FROM payments WHERE id = '` + declined + `'`,
		},
		{
			name: "a payment without its order", want: []broken{{rules.I4, unknown}},
			payments: payment(unknown, "VOIDED"),
		},
		{
			name: "pending, and no command", want: []broken{{rules.I5, pending}},
			orders: `DELETE FROM outbox WHERE kind = 'CHARGE'`,
		},
		{
			name: "cancelling, and no void", want: []broken{{rules.I5, cancelling}},
			orders: `UPDATE outbox SET kind = 'CHARGE' WHERE kind = 'VOID'`,
		},
		{
			name: "settled, and a command is left", want: []broken{{rules.I5, paid}},
			orders: `INSERT INTO outbox (key, kind, payload) VALUES ('` + paid + `', 'CHARGE', '')`,
		},
		{
			name: "a command without its order", want: []broken{{rules.I5, unknown}},
			orders: `INSERT INTO outbox (key, kind, payload) VALUES ('` + unknown + `', 'CHARGE', '')`,
		},
		{
			name: "an entry of no payment", want: []broken{{rules.I7, unknown}},
			payments: entry(unknown, "CHARGE"),
		},
		{
			name: "the ledger lacks a charge", want: []broken{{rules.I7, paid}},
			payments: `DELETE FROM ledger WHERE payment_id = '` + paid + `'`,
		},
		{
			name: "a wait without end", want: []broken{{rules.I13, pending}},
			orders: `UPDATE outbox SET ready_at = now() + '1 day' WHERE kind = 'CHARGE'`,
		},
		{
			name: "too many attempts", want: []broken{{rules.I13, pending}},
			orders: `UPDATE outbox SET attempts = 5, claims = 5 WHERE kind = 'CHARGE'`,
		},
		{
			name: "a send that spent two attempts", want: []broken{{rules.I13, pending}},
			orders: `UPDATE outbox SET attempts = 3, claims = 1, sends = 1 WHERE kind = 'CHARGE'`,
		},
		{
			name: "given up before its attempts were spent", want: []broken{{rules.I13, declined}},
			orders: `UPDATE orders SET cancel_reason = 'PAYMENT_FAILED' WHERE id = '` + declined + `';
				INSERT INTO attempts (order_id, command_id, claim, code, kind, relay, means, latency)
				SELECT '` + declined + `', 1, claim, 'INTERNAL', 'CHARGE', 'r', 'AMBIGUOUS', '1s'
				FROM generate_series(1, 4) AS claim`,
		},
		{
			name: "two orders for one request", want: []broken{{rules.I9, paid}},
			orders: `ALTER TABLE orders DROP CONSTRAINT orders_request_once;
				UPDATE orders SET request_id = 'r', request_hash = '' WHERE id IN ('` + paid + `', '` + declined + `')`,
		},
		{
			name: "an amount out of its domain", want: []broken{{rules.I17, cancelling}},
			orders: `ALTER DOMAIN orders_amount DROP CONSTRAINT orders_amount_range;
				UPDATE orders SET amount_minor = 0 WHERE id = '` + cancelling + `'`,
		},
		{
			name: "given up before its deadline", want: []broken{{rules.D1, cancelling}},
			orders: `UPDATE orders SET deadline_at = updated_at + '1 second' WHERE id = '` + cancelling + `'`,
		},
		{
			name: "paid once, and voided", want: []broken{{rules.I25, declined}},
			orders: `UPDATE orders SET completed_at = created_at WHERE id = '` + declined + `'`,
		},
		{
			name: "paid once, and refunded", want: nil,
			orders: `UPDATE orders SET completed_at = created_at WHERE id = '` + refunded + `'`,
		},
		{
			name: "given up before its deadline, and voided", want: []broken{{rules.D1, refunded}},
			orders: `UPDATE orders SET cancel_reason = 'DEADLINE' WHERE id = '` + refunded + `'`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			orders, payments := healthy(t)
			for statement := range strings.SplitSeq(tt.orders, ";") {
				run(t, orders, statement)
			}
			for statement := range strings.SplitSeq(tt.payments, ";") {
				run(t, payments, statement)
			}
			slices.SortFunc(tt.want, byRule)
			if got := check(t, orders, payments, atWork); !slices.Equal(got, tt.want) {
				t.Errorf("got violations %v, want %v", got, tt.want)
			}
		})
	}
}

// The simulated card network never charges 9999.
func TestAChargedBombIsFound(t *testing.T) {
	t.Parallel()
	orders, payments := healthy(t)
	run(t, orders, `UPDATE orders SET amount_minor = 9999 WHERE id = $1`, paid)
	run(t, payments, `UPDATE payments SET amount_minor = 9999 WHERE id = $1`, paid)
	run(t, payments, `UPDATE ledger SET amount_minor = 9999 WHERE payment_id = $1`, paid)
	got := check(t, orders, payments, invariant.Options{Simulated: true})
	if want := []broken{{rules.I12, paid}}; !slices.Equal(got, want) {
		t.Errorf("got violations %v, want %v", got, want)
	}
}

// An order that an operator settled is exempt from the rule that its payment is sealed, and is listed.
func TestOrdersSettledByHandAreListedAndExempt(t *testing.T) {
	t.Parallel()
	orders, payments := healthy(t)
	run(t, orders, `
		UPDATE orders
		SET status = 'CANCELLED', cancel_reason = 'OPERATOR', completed_at = created_at
		WHERE id = $1`, paid)
	run(t, orders, `
		INSERT INTO audit (order_id, action, kind, operator, reason)
		VALUES ($1, 'RETRY', 'CHARGE', 'ada', 'once more')`, paid)
	if got := check(t, orders, payments, atWork); !slices.Contains(got, broken{rules.I3, paid}) {
		t.Errorf("only retried by hand: got violations %v, want %s among them", got, rules.I3)
	}
	run(t, orders,
		`INSERT INTO audit (order_id, action, operator, reason) VALUES ($1, 'SETTLE', 'ada', 'the key is another''s')`,
		paid)
	report, err := invariant.Check(t.Context(), orders, payments, atWork)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Violations) > 0 || !slices.Equal(report.ByHand, []string{paid}) {
		t.Errorf("got violations %v, settled by hand %v; want none, and %s", report.Violations, report.ByHand, paid)
	}
}
