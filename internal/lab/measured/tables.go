package measured

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// table is what a database says of a metric: rows of the labels' values, in their order, and of a number.
type table struct {
	metric   string
	labels   []string
	only     string // a label of those figures that the table says something of; empty: all
	payments bool   // it is the payments database
	sql      string
}

// countedTables are about what happens once and for all.
var countedTables = []table{
	{metric: "hosho_orders_created_total", labels: []string{"result"}, only: `result="new"`, sql: `
		SELECT ARRAY['new'], count(*)::float8 FROM orders`},
	// An order's cancel_reason stands since it was given up.
	{metric: "hosho_orders_left_total", labels: []string{"from", "to", "reason"}, sql: `
		SELECT ARRAY['PENDING', 'COMPLETED', 'none'], count(*)::float8
		FROM orders
		WHERE status = 'COMPLETED' OR completed_at IS NOT NULL
		UNION ALL
		SELECT ARRAY[from_status, to_status, cancel_reason], count(*)
		FROM changes JOIN orders ON orders.id = order_id
		GROUP BY 1`},
	{metric: "hosho_order_settle_seconds_count", labels: []string{"outcome"}, sql: `
		SELECT ARRAY[outcome], count(*)::float8 FROM ` + settled + ` GROUP BY 1`},
	{metric: "hosho_order_settle_seconds_sum", labels: []string{"outcome"}, sql: `
		SELECT ARRAY[outcome], sum(took)::float8 FROM ` + settled + ` GROUP BY 1`},

	{metric: "hosho_payments_decided_total", labels: []string{"kind", "status", "reason"}, payments: true, sql: `
		SELECT ARRAY[CASE status WHEN 'VOIDED' THEN 'VOID' ELSE 'CHARGE' END,
				CASE status WHEN 'REFUNDED' THEN 'CHARGED' ELSE status END, coalesce(decline_reason, 'none')],
			count(*)::float8
		FROM payments
		GROUP BY 1
		UNION ALL
		SELECT ARRAY['VOID', 'REFUNDED', 'none'], count(*) FROM payments WHERE status = 'REFUNDED'`},
	{metric: "hosho_ledger_minor_total", labels: []string{"entry", "currency"}, payments: true, sql: `
		SELECT ARRAY[kind, currency], sum(amount_minor)::float8 FROM ledger GROUP BY 1`},
}

// settled is when orders were settled first, and how long after their acceptance, in seconds.
const settled = `(
		SELECT 'completed' AS outcome,
			greatest(extract(epoch FROM coalesce(completed_at, updated_at) - created_at), 0) AS took
		FROM orders
		WHERE status = 'COMPLETED' OR completed_at IS NOT NULL
		UNION ALL
		SELECT 'cancelled', greatest(extract(epoch FROM at - created_at), 0)
		FROM changes JOIN orders ON orders.id = order_id
		WHERE to_status = 'CANCELLED' AND completed_at IS NULL
	) AS settled`

// heldTables are about what is there now. A system at rest has no command that a relay holds.
var heldTables = []table{
	{metric: "hosho_outbox_commands", labels: []string{"kind", "state"}, sql: `
		SELECT ARRAY[kind, state], count(c.key)::float8
		FROM unnest(ARRAY['CHARGE', 'VOID']) AS k (kind)
		CROSS JOIN unnest(ARRAY['due', 'leased', 'waiting', 'parked']) AS s (state)
		LEFT JOIN (
			SELECT key, kind AS of_kind, CASE
				WHEN parked_at IS NOT NULL THEN 'parked'
				WHEN lease_token IS NOT NULL AND leased_until > clock_timestamp() THEN 'leased'
				WHEN ready_at <= clock_timestamp() THEN 'due'
				ELSE 'waiting' END AS in_state
			FROM outbox
		) AS c ON of_kind = kind AND in_state = state
		GROUP BY 1`},
	{metric: "hosho_deliveries_in_flight", labels: []string{"kind"}, sql: `
		SELECT ARRAY[kind], 0::float8 FROM unnest(ARRAY['CHARGE', 'VOID']) AS k (kind)`},
}

func (s System) query(ctx context.Context, tables []table) (figures, error) {
	found := figures{}
	for _, t := range tables {
		pool := s.Orders
		if t.payments {
			pool = s.Payments
		}
		rows, _ := pool.Query(ctx, t.sql) // ForEachRow returns the error
		var values []string
		var number float64
		_, err := pgx.ForEachRow(rows, []any{&values, &number}, func() error {
			labels := map[string]string{}
			for i, name := range t.labels {
				labels[name] = values[i]
			}
			found[figure(t.metric, labels)] = number
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("of %s: %w", t.metric, err)
		}
	}
	return found, nil
}

// joined is what the ledger says where a process has no figure for each currency: of those it tells the sum alone, so
// that nothing but the sum of all can be compared. For each entry of which that is so, both figures become that.
func joined(got, want figures) (figures, figures) {
	const ledger, other = "hosho_ledger_minor_total", `{currency="other",`
	for _, entry := range []string{`entry="CHARGE"`, `entry="REFUND"`} {
		if got[ledger+other+entry+"}"] != 0 {
			got, want = got.sum(ledger, entry), want.sum(ledger, entry)
		}
	}
	return got, want
}

// sum puts one figure in the place of all of a metric with a label.
func (f figures) sum(metric, label string) figures {
	all := figures{}
	for figure, value := range f {
		if strings.HasPrefix(figure, metric+"{") && strings.Contains(figure, label) {
			figure = metric + "{" + label + "}"
		}
		all[figure] += value
	}
	return all
}
