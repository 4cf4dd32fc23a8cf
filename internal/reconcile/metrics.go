package reconcile

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what a Monitor does and holds what it knows.
type metrics struct {
	findings    *prometheus.GaugeVec
	compared    *prometheus.CounterVec
	lastSuccess *prometheus.GaugeVec
	took        *prometheus.HistogramVec
	failures    prometheus.Counter
}

// newMetrics registers them, unless r is nil.
func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		findings: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hosho_reconcile_findings",
			Help: "Orders and payments that need attention, as far as is known: those of the last full pass, less " +
				"what was mended since, and what was found since.",
		}, []string{"class"}),
		compared: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_reconcile_compared_total",
			Help: "Orders and payments that were read to be compared, each time that they were.",
		}, []string{"side"}),
		lastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hosho_reconcile_last_success_timestamp_seconds",
			Help: "When the last pass ended that compared what it should; 0: none has.",
		}, []string{"pass"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hosho_reconcile_seconds", Help: "How long passes took that compared what they should.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30, 60, 180, 600, 1800},
		}, []string{"pass"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hosho_reconcile_failures_total",
			Help: "Passes that could not compare what they should: a database could not be read.",
		}),
	}
	for _, c := range Classes {
		m.findings.WithLabelValues(string(c.Class))
	}
	for _, side := range []string{"orders", "payments"} {
		m.compared.WithLabelValues(side)
	}
	for _, pass := range []Pass{Full, Incremental} {
		m.lastSuccess.WithLabelValues(string(pass))
		m.took.WithLabelValues(string(pass))
	}
	if r != nil {
		r.MustRegister(m.findings, m.compared, m.lastSuccess, m.took, m.failures)
	}
	return m
}

func (m *metrics) isKnown(class Class)  { m.findings.WithLabelValues(string(class)).Inc() }
func (m *metrics) isMended(class Class) { m.findings.WithLabelValues(string(class)).Dec() }

// knows sets what is known of all classes.
func (m *metrics) knows(findings map[Class]int64) {
	for _, c := range Classes {
		m.findings.WithLabelValues(string(c.Class)).Set(float64(findings[c.Class]))
	}
}

// read counts what a pass has read since it said so before.
func (m *metrics) read(orders, payments int64) {
	m.compared.WithLabelValues("orders").Add(float64(orders))
	m.compared.WithLabelValues("payments").Add(float64(payments))
}

func (m *metrics) passed(pass Pass, took time.Duration) {
	m.took.WithLabelValues(string(pass)).Observe(took.Seconds())
	m.lastSuccess.WithLabelValues(string(pass)).SetToCurrentTime()
}

func (m *metrics) failed() { m.failures.Inc() }
