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
			Help: "Events that were taken from the broker, by what became of them: done, later (not dealt with yet, " +
				"and taken again), dead (a dead letter).",
		}, []string{"fate"}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hosho_inbox_repeated_total",
			Help: "Events that the broker had given out before.",
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
