package reconcile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/reconcile"
)

// monitored is a system that a Monitor compares. All but two of its orders were settled an hour ago.
type monitored struct {
	system

	*reconcile.Monitor

	registry *prometheus.Registry
	log      *bytes.Buffer
}

// The keys of its orders, made an hour ago.
var (
	hourAgo       = time.Now().Add(-time.Hour)
	paidOnce      = keyOf(hourAgo, 1)
	stillPending  = keyOf(hourAgo, 4)
	stillToRefund = keyOf(hourAgo, 5)
)

// keyOf is a key that was made at a time.
func keyOf(at time.Time, n int) string {
	ms := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x-7000-8000-%012d", ms>>16, ms&0xffff, n)
}

func monitor(t *testing.T, c reconcile.MonitorConfig) *monitored {
	t.Helper()
	s := healthy(t)
	for i, id := range []string{paid, declined, refunded, pending, cancelling} {
		key := keyOf(hourAgo, i+1)
		run(t, s.orders.Pool, `
			UPDATE orders SET id = $2, created_at = now() - interval '1 hour' WHERE id = $1`, id, key)
		run(t, s.orders.Pool, `UPDATE outbox SET key = $2 WHERE key = $1`, id, key)
		run(t, s.payments.Pool, `UPDATE payments SET id = $2 WHERE id = $1`, id, key)
		run(t, s.payments.Pool, `UPDATE ledger SET payment_id = $2, at = at - interval '1 hour' WHERE payment_id = $1`,
			id, key)
	}
	m := &monitored{system: s, registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	c.Registry, c.Log = m.registry, slog.New(slog.NewJSONHandler(io.Writer(m.log), nil))
	m.Monitor = reconcile.NewMonitor(s.orders.Pool, s.payments.Pool, c)
	return m
}

// pass makes a pass that must be of a kind, and returns what was read.
func (m *monitored) pass(t *testing.T, want reconcile.Pass) reconcile.Summary {
	t.Helper()
	got, summary, err := m.Pass(t.Context())
	if err != nil || got != want {
		t.Fatalf("got a pass %s, error %v; want %s", got, err, want)
	}
	return summary
}

// known returns the findings of the metrics that are not 0, as class=number.
func (m *monitored) known(t *testing.T) []string {
	t.Helper()
	var known []string
	for series, value := range m.values(t) {
		class, ok := strings.CutPrefix(series, "hosho_reconcile_findings/")
		if ok && value != 0 {
			known = append(known, fmt.Sprintf("%s=%g", class, value))
		}
	}
	slices.Sort(known)
	return known
}

// values returns counters and gauges by name and label value.
func (m *monitored) values(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			name := f.GetName()
			for _, label := range metric.GetLabel() {
				name += "/" + label.GetValue()
			}
			values[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// told returns the lines of the log since it was asked before, as "message class id", and the rest of each line.
func (m *monitored) told(t *testing.T) (lines []string, text string) {
	t.Helper()
	text = m.log.String()
	m.log.Reset()
	for line := range strings.Lines(text) {
		var l struct {
			Msg, Class string
			OrderID    string `json:"order_id"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(l.Msg, "finding") {
			lines = append(lines, l.Msg+" "+l.Class+" "+l.OrderID)
		}
	}
	return lines, text
}

// plantOrder is the statement that plants an order that was paid, as those of healthy are.
func plantOrder(id, status string) string {
	return `INSERT INTO orders (id, customer_id, items, amount_minor, currency, status, deadline_at)
		VALUES ('` + id + `', 'ada', '[{"name": "tea", "quantity": 1, "unit_price": 600}]', 600, 'JPY',
			'` + status + `', now() + interval '1 hour')`
}

// plantChange is the statement that plants what is told of an order that was given up.
func plantChange(id string) string {
	return `INSERT INTO changes (order_id, from_status, to_status, at, cause, who)
		VALUES ('` + id + `', 'COMPLETED', 'CANCELLED', clock_timestamp(), 'customer cancels', 'orderd')`
}
