package inbox

import (
	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/broker"
)

// Metrics count what becomes of events. The nil Metrics count nothing.
type Metrics struct {
	fates    *prometheus.CounterVec
	repeated prometheus.Counter
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		fates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_inbox_events_total",
			Help: "Times that an event was looked at, by what came of it: done, later (it cannot be dealt with yet: " +
				"it is kept, and looked at again and counted, five times a second), dead (it is a dead letter).",
		}, []string{"fate"}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hosho_inbox_repeated_total",
			Help: "Times that the broker gave out an event that it had given out before, as far as it counts that: " +
				"whoever had it died, or lost the connection. What is kept, and looked at again, is not among them.",
		}),
	}
	registry.MustRegister(m.fates, m.repeated)
	for _, f := range []Fate{Done, Later, Dead} {
		m.fates.WithLabelValues(f.String())
	}
	return m
}

func (m *Metrics) fetched(events []broker.Event) {
	if m == nil {
		return
	}
	for i := range events {
		if events[i].Given > 0 {
			m.repeated.Inc()
		}
	}
}

func (m *Metrics) ended(verdicts []Verdict) {
	if m == nil {
		return
	}
	for _, v := range verdicts {
		m.fates.WithLabelValues(v.Fate.String()).Inc()
	}
}
