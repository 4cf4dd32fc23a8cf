package reconcile_test

import (
	"fmt"
	"log/slog"
	"testing"

	"hosho/internal/pgtest"
	"hosho/internal/reconcile"
)

// A full pass reads each row once. In a large system in which nothing happens, the next one reads next to nothing, and
// asks no table for all of its rows.
func TestAQuietSystemCostsLittle(t *testing.T) {
	t.Parallel()
	const many = 20_000
	m := monitor(t, reconcile.MonitorConfig{})
	from, aged := hourAgo.UnixMilli()-many, `now() - interval '1 hour'`
	key := fmt.Sprintf(`(lpad(to_hex(%d + i), 12, '0') || '70008000000000000000')::uuid`, from)
	run(t, m.orders.Pool, `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, status, cancel_reason, deadline_at,
			created_at, updated_at)
		SELECT `+key+`, 'ada', '[{"name": "tea", "quantity": 1, "unit_price": 600}]', 600, 'JPY', 'CANCELLED',
			'CUSTOMER', now(), `+aged+`, `+aged+`
		FROM generate_series(1, $1::int) AS i`, many)
	run(t, m.orders.Pool, `
		INSERT INTO changes (order_id, from_status, to_status, at, cause, who)
		SELECT `+key+`, 'COMPLETED', 'CANCELLED', `+aged+`, 'customer cancels', 'orderd'
		FROM generate_series(1, $1::int) AS i`, many)
	run(t, m.payments.Pool, `
		INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		SELECT `+key+`, 'ada', 600, 'JPY', 'REFUNDED' FROM generate_series(1, $1::int) AS i`, many)
	for _, kind := range []string{"CHARGE", "REFUND"} {
		run(t, m.payments.Pool, `
			INSERT INTO ledger (payment_id, kind, amount_minor, currency, at)
			SELECT `+key+`, $2, 600, 'JPY', `+aged+` FROM generate_series(1, $1::int) AS i`, many, kind)
	}
	orders, ordersPlans := pgtest.Explained[plan](t, m.orders)
	payments, paymentsPlans := pgtest.Explained[plan](t, m.payments)
	m.Monitor = reconcile.NewMonitor(orders, payments, reconcile.MonitorConfig{
		Window: many / 10, Log: slog.New(slog.DiscardHandler),
	})
	m.pass(t, reconcile.Full)
	wantLooks(t, ordersPlans(), map[string]float64{"orders": 1.1 * many})
	wantLooks(t, paymentsPlans(), map[string]float64{"payments": 1.1 * many})
	summary := m.pass(t, reconcile.Incremental)
	if summary.Orders != 2 || summary.Payments != 1 {
		t.Errorf("got %d orders and %d payments read, want the two under way", summary.Orders, summary.Payments)
	}
	wantLooks(t, ordersPlans(), map[string]float64{"orders": 1000, "outbox": 100, "changes": 10}) // the table's end
	wantLooks(t, paymentsPlans(), map[string]float64{"payments": 10, "ledger": 10})
}

// wantLooks fails when more rows of a table were looked at.
func wantLooks(t *testing.T, plans []plan, most map[string]float64) {
	t.Helper()
	for table, most := range most {
		rows := 0.
		for _, p := range plans {
			rows += p.read(t, table)
		}
		if rows > most {
			t.Errorf("got %g rows of %s looked at, want %g at most", rows, table, most)
		}
	}
}

// plan is a node of a plan as it was executed.
type plan struct {
	Node     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Plans    []plan
}

// read returns how many rows of a table a plan has looked at.
func (p plan) read(t *testing.T, table string) (rows float64) {
	t.Helper()
	if p.Relation == table {
		if rows = (p.Rows + p.Removed) * p.Loops; p.Node == "Seq Scan" && table != "outbox" {
			t.Errorf("got a way through all of %s: %+v", table, p)
		}
	}
	for _, child := range p.Plans {
		rows += child.read(t, table)
	}
	return rows
}
