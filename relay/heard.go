package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/order"
)

// known is why an event is ignored that says what the orders say already.
const known = "known"

// heardCounts are what is counted of payment events.
type heardCounts struct {
	refusals, others *prometheus.CounterVec
}

func newHeardCounts(registry prometheus.Registerer) heardCounts {
	c := heardCounts{
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_relay_refused_total",
			Help: "Commands that paymentd has refused by an event, each send of one once.",
		}, []string{"kind"}),
		others: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_relay_events_ignored_total",
			Help: "Events on the topic of the payments that were not applied, by why: foreign, of another system; " +
				"another_database, than the one that is trusted; unknown_order; known, a repeat, or of an order that " +
				"is settled as it says; counted_before, a refusal that was, or of an earlier send; no_refusal, one " +
				"that says nothing about its command.",
		}, []string{"why"}),
	}
	for _, kind := range order.Commands {
		c.refusals.WithLabelValues(string(kind))
	}
	for _, why := range []string{
		"foreign", "another_database", "unknown_order", known, "counted_before", "no_refusal",
	} {
		c.others.WithLabelValues(why)
	}
	registry.MustRegister(c.refusals, c.others)
	return c
}

func (c heardCounts) refused(kind order.Command) { c.refusals.WithLabelValues(string(kind)).Inc() }

func (c heardCounts) ignored(why string) { c.others.WithLabelValues(why).Inc() }
