package main

import "github.com/prometheus/client_golang/prometheus"

// unheeded is why an event is not acted on, as the metrics have it.
type unheeded string

const (
	foreign         unheeded = "foreign" // it is none of hosho's
	anotherOrders   unheeded = "another_orders_database"
	anotherPayments unheeded = "another_payments_database"
)

// ignored counts events that are not acted on, and the times that a person was called for them.
type ignored struct{ by, alarms *prometheus.CounterVec }

func newIgnored(registry prometheus.Registerer) *ignored {
	i := &ignored{
		prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_paymentd_events_ignored_total",
			Help: "Events that were taken from the broker and not acted on, by why: foreign (none of hosho's), " +
				"another_orders_database (than the one that is trusted), another_payments_database (is meant than " +
				"this).",
		}, []string{"why"}),
		prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_alarms_total",
			Help: "Times that a person was called, each of which is an error in the log, by its cause: what happened " +
				"to an order that must not, or what keeps orders from being settled. doc/operations.md says of each " +
				"what to do.",
		}, []string{"cause"}),
	}
	registry.MustRegister(i.by, i.alarms)
	i.by.WithLabelValues(string(foreign))
	for _, why := range []unheeded{anotherOrders, anotherPayments} {
		i.by.WithLabelValues(string(why))
		i.alarms.WithLabelValues(string(why))
	}
	return i
}

func (i *ignored) count(why unheeded) { i.by.WithLabelValues(string(why)).Inc() }

func (i *ignored) ring(why unheeded) { i.alarms.WithLabelValues(string(why)).Inc() }
