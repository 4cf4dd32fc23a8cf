package main

import "github.com/prometheus/client_golang/prometheus"

// metrics count what becomes of orders that somebody wants to have placed, over calls and streams alike.
type metrics struct {
	created, repeated, refused, failed prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	of := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_orders_created_total",
		Help: "Orders that were sent, by calls and streams, by what became of each: new, accepted and committed; " +
			"repeated, answered with the order that the same request_id made before; refused, not valid, not " +
			"allowed, or its request_id was used for another order; failed, for anything else: it is not known to " +
			"be placed, and may be sent again.",
	}, []string{"result"})
	if registry != nil {
		registry.MustRegister(of)
	}
	return &metrics{
		created: of.WithLabelValues("new"), repeated: of.WithLabelValues("repeated"),
		refused: of.WithLabelValues("refused"), failed: of.WithLabelValues("failed"),
	}
}

// placed notes what placing an order came to, as Place of a Store tells it. It is noted whether or not anybody still
// waits for it.
func (m *metrics) placed(fresh bool, err error) {
	switch {
	case err != nil:
		_ = m.unplaced(err) // the caller has it
	case fresh:
		m.created.Inc()
	default:
		m.repeated.Inc()
	}
}

// unplaced notes an order that is not placed, and returns why.
func (m *metrics) unplaced(err error) error {
	if isRefused(err) {
		m.refused.Inc()
	} else {
		m.failed.Inc()
	}
	return err
}
