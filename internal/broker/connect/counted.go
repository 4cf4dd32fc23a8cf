package connect

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventsv1 "hosho/gen/events/v1"
	"hosho/internal/broker"
)

// counted is a broker whose events are counted as they are published.
type counted struct {
	broker.Broker

	published *prometheus.CounterVec
}

// What the counter says of events: what became of them, and what is none of ours any more.
const (
	confirmed, failed = "confirmed", "failed"
	deadLetter        = "dead letter"
)

// types are the names of all events.
func types() (names []string) {
	for _, file := range []protoreflect.FileDescriptor{
		eventsv1.File_events_v1_order_events_proto, eventsv1.File_events_v1_payment_events_proto,
	} {
		for i := range file.Messages().Len() {
			names = append(names, string(file.Messages().Get(i).Name()))
		}
	}
	return names
}

// count registers what is counted of a broker.
func count(b broker.Broker, registry prometheus.Registerer, insecure bool) broker.Broker {
	exposed := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "hosho_insecure",
		Help:        "1 where something is in plaintext off loopback, as a flag allows, by what it is; else 0.",
		ConstLabels: prometheus.Labels{"what": "broker"},
	})
	if insecure {
		exposed.Set(1)
	}
	c := counted{b, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_broker_published_total",
		Help: "Events that were published, by type and whether the broker confirmed them; what is set aside is a " +
			"dead letter, whatever its type.",
	}, []string{"type", "result"})}
	registry.MustRegister(exposed, c.published)
	for _, name := range append(types(), deadLetter) {
		c.published.WithLabelValues(name, confirmed)
		c.published.WithLabelValues(name, failed)
	}
	return c
}

// Publish is broker.Broker's.
func (c counted) Publish(ctx context.Context, events []broker.Event) []error {
	errs := c.Broker.Publish(ctx, events)
	for i, err := range errs {
		result := confirmed
		if err != nil {
			result = failed
		}
		c.published.WithLabelValues(typeOf(&events[i]), result).Inc()
	}
	return errs
}

// typeOf returns what an event counts as. The types of dead letters are anybody's.
func typeOf(e *broker.Event) string {
	if e.IsDeadLetter() {
		return deadLetter
	}
	return e.Type[strings.LastIndex(e.Type, ".")+1:]
}
