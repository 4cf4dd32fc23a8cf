package events

import "github.com/prometheus/client_golang/prometheus"

// metrics tell of those who watch.
type metrics struct {
	watchers prometheus.Gauge
	dropped  prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) metrics {
	m := metrics{
		watchers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hosho_event_watchers", Help: "Streams of WatchEvents that are open.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hosho_events_dropped_total",
			Help: "Events that were left out for those who watch, because they were too far behind.",
		}),
	}
	if registry != nil {
		registry.MustRegister(m.watchers, m.dropped)
	}
	return m
}
