package main

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/order"
)

// cause is why a person is called. word is the metric's, text what the log says of an order.
type cause struct{ word, text string }

// The causes, but for those that are events.
var (
	dataLost     = cause{"data_lost", "paymentd says that it has lost data"}
	unknownOrder = cause{"unknown_order", "a payment event of an order that there is not"}
	noOrder      = cause{"no_order", "a command without an order: it is not sent"}
	notAsOrdered = cause{"payload_mismatch", "its command is not what was ordered: it is sent as it was ordered"}
	voidInVain   = cause{"void_in_vain", "its void fails again and again: money may be held"}

	// Those that are about all orders.
	givenUp      = cause{word: "given_up_in_a_row"}
	stranger     = cause{word: "another_payments_database"}
	unidentified = cause{word: "untold_payments_database"}
	clocksDiffer = cause{word: "clocks_differ"}
)

// causeOf is the cause of an event that needs a person.
func causeOf(e order.Event) cause { return cause{strings.ReplaceAll(e.String(), " ", "_"), e.String()} }

// causes returns all of them, so that each is there before it happens.
func causes() []cause {
	all := []cause{
		dataLost, noOrder, unknownOrder, notAsOrdered, voidInVain, givenUp, stranger, unidentified, clocksDiffer,
	}
	for _, e := range order.Events {
		if mayAlarm(e) {
			all = append(all, causeOf(e))
		}
	}
	return all
}

// mayAlarm reports whether there is a state in which an event needs a person.
func mayAlarm(e order.Event) bool {
	for _, s := range order.States {
		if t, err := order.Apply(s, e); err == nil && t.Alarm {
			return true
		}
	}
	return false
}

// settling are the events that change orders in a relay: all but a customer's.
func settling() []order.Event {
	customers := func(e order.Event) bool { return e == order.CustomerCancels }
	return slices.DeleteFunc(slices.Clone(order.Events), customers)
}

// alarms count what calls for a person, whoever hears the log.
type alarms struct{ total *prometheus.CounterVec }

func newAlarms(registry prometheus.Registerer) alarms {
	a := alarms{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_alarms_total",
		Help: "Times that a person was called, each of which is an error in the log, by its cause: what happened " +
			"to an order that must not, or what keeps orders from being settled. doc/operations.md says of each what " +
			"to do.",
	}, []string{"cause"})}
	for _, c := range causes() {
		a.total.WithLabelValues(c.word)
	}
	registry.MustRegister(a.total)
	return a
}

// ring counts an alarm.
func (a alarms) ring(c cause) { a.total.WithLabelValues(c.word).Inc() }
