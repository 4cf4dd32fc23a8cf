package orderdb

import (
	"cmp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/order"
	"hosho/internal/outbox"
)

// Metrics count what stores have made of orders, once it is committed.
type Metrics struct {
	left *prometheus.CounterVec
	took *prometheus.HistogramVec
}

// NewMetrics makes metrics of what a process does to orders by some events. registry nil: nobody sees them.
func NewMetrics(registry prometheus.Registerer, events ...order.Event) *Metrics {
	m := &Metrics{
		left: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_orders_left_total",
			Help: "Orders that left a status for another one, by this process, and why they were given up; none: " +
				"they were not. Counted once it is committed: what was committed without an answer is missing.",
		}, []string{"from", "to", "reason"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hosho_order_settle_seconds",
			Help: "From when an order was accepted until it was settled, completed or cancelled, by the " +
				"orders database's clock, in seconds. One that was completed before is not counted again when it " +
				"is cancelled.",
			Buckets: outbox.Seconds,
		}, []string{"outcome"}),
	}
	settles := false
	for _, l := range order.Leavings(events...) {
		m.of(l)
		if l.To.Settled() {
			m.outcome(l.To)
			settles = true
		}
	}
	if registry != nil {
		registry.MustRegister(m.left)
	}
	if registry != nil && settles {
		registry.MustRegister(m.took)
	}
	return m
}

// Counting returns a Store that counts what it does to orders.
func (s *Store) Counting(m *Metrics) *Store {
	counting := *s
	counting.metrics = m
	return &counting
}

func (m *Metrics) of(l order.Leaving) prometheus.Counter {
	return m.left.WithLabelValues(string(l.From), string(l.To), cmp.Or(string(l.Reason), "none"))
}

func (m *Metrics) outcome(to order.Status) prometheus.Observer {
	return m.took.WithLabelValues(strings.ToLower(string(to)))
}

// paid notes orders that were completed, and how long each of them took.
func (m *Metrics) paid(took []float64) {
	if m == nil || len(took) == 0 {
		return
	}
	m.of(order.Leaving{From: order.Pending, To: order.Completed}).Add(float64(len(took)))
	completed := m.outcome(order.Completed)
	for _, seconds := range took {
		completed.Observe(max(seconds, 0))
	}
}

// leave notes that an order left a status at a time, for what it is now, if it did.
func (m *Metrics) leave(from order.Status, now order.Order, at time.Time) {
	if m == nil || from == now.Status {
		return
	}
	m.of(order.Leaving{From: from, To: now.Status, Reason: now.CancelReason}).Inc()
	if now.Status.Settled() && now.CompletedAt.IsZero() {
		m.outcome(now.Status).Observe(max(at.Sub(now.CreatedAt), 0).Seconds())
	}
}
