// Package publish is the relay's way to a broker: a command is said as an event.
//
// Its promise: every command that is handed to Deliver is reported exactly once, within the time that it may take, and
// as handed over only when the broker has confirmed it. Neither that nor an error is an outcome, and nothing here is
// ever reported as decided: what paymentd has decided comes as an event of its own. Each command names the payments
// database that is meant, and its source the orders database that it is of.
package publish

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"

	eventsv1 "hosho/gen/events/v1"
	"hosho/internal/broker"
	"hosho/internal/crew"
	"hosho/internal/envelope"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/trace"
	"hosho/relay/internal/dispatch"
)

// What a hand-over comes to. It stands in the outbox as last_code.
const (
	codeHandedOver   = "HANDED_OVER"
	codeNotConfirmed = "NOT_CONFIRMED"      // in time; it may be there all the same
	codeUnavailable  = "BROKER_UNAVAILABLE" // or it refuses what it is given
	codeUnidentified = "ORDER_UNREAD"       // the orders database does not say who it is: nothing was published
)

// Databases are the identities that an event names.
type Databases struct {
	Orders   string // whose commands they are
	Payments string // which is meant; empty: any
}

// Config says where events go, and what they say.
type Config struct {
	Broker   broker.Broker
	Topic    string
	Timeout  time.Duration // for the broker to confirm what it was given
	Identify func(ctx context.Context) (Databases, error)
	Registry prometheus.Registerer
	Traces   *trace.Tracer // makes the spans of deliveries; nil: none
}

// Publisher hands commands over to a broker.
type Publisher struct {
	config Config
	resent *prometheus.CounterVec
}

// New makes a Publisher.
func New(config Config) *Publisher {
	p := &Publisher{config: config, resent: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_relay_resent_total",
		Help: "Commands that were handed over to the broker once more, since nothing has come of them yet.",
	}, []string{"kind"})}
	for _, kind := range order.Commands {
		p.resent.WithLabelValues(string(kind))
	}
	config.Registry.MustRegister(p.resent)
	return p
}

// delivery is a command on its way.
type delivery struct {
	message outbox.Message
	event   broker.Event
}

// Deliver publishes messages and returns at once; see outbox.Handler. One that must go alone goes by itself.
func (p *Publisher) Deliver(ctx context.Context, messages []outbox.Message, report func(outbox.Report)) {
	var together []outbox.Message
	for _, m := range messages {
		if m.Alone {
			crew.Go(func() { p.publish(ctx, []outbox.Message{m}, report) })
		} else {
			together = append(together, m)
		}
	}
	if len(together) > 0 {
		crew.Go(func() { p.publish(ctx, together, report) })
	}
}

func (p *Publisher) publish(ctx context.Context, messages []outbox.Message, report func(outbox.Report)) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	databases, err := p.config.Identify(ctx)
	if err != nil {
		for _, m := range messages {
			report(outbox.Report{Message: m, Result: outbox.Withheld, Code: codeUnidentified, Body: err.Error()})
		}
		return
	}
	deliveries := make([]delivery, 0, len(messages))
	events := make([]broker.Event, 0, len(messages))
	for _, m := range messages {
		event, err := p.eventOf(&m, databases)
		if err != nil {
			report(dispatch.Unreadable(m, err))
			continue
		}
		deliveries, events = append(deliveries, delivery{m, event}), append(events, event)
	}
	if len(events) == 0 {
		return
	}
	began := time.Now()
	errs := p.config.Broker.Publish(ctx, events)
	for i, d := range deliveries {
		report(p.reportOf(d.message, errs[i], time.Since(began)))
	}
}

// reportOf says what came of publishing a command.
func (p *Publisher) reportOf(m outbox.Message, err error, took time.Duration) outbox.Report {
	r := outbox.Report{Message: m, Took: took}
	switch {
	case err == nil:
		r.Result, r.Code = outbox.HandedOver, codeHandedOver
		if m.Sends > 0 {
			p.resent.WithLabelValues(m.Kind).Inc()
		}
		return r
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		r.Code = codeNotConfirmed
	default:
		r.Code = codeUnavailable
	}
	r.Result, r.Body = outbox.Blocked, err.Error()
	return r
}

// eventOf makes the event of a command, and starts the span of its delivery.
func (p *Publisher) eventOf(m *outbox.Message, databases Databases) (broker.Event, error) {
	c, err := dispatch.CommandIn(*m)
	if err != nil {
		return broker.Event{}, err
	}
	l := envelope.Letter{
		Side: envelope.Orders, Database: databases.Orders, Key: m.Key, Time: time.Now(), Send: int32(m.Sends + 1),
	}
	if charge := c.GetCharge(); charge != nil {
		l.Message = &eventsv1.OrderPlaced{
			OrderId: m.Key, CustomerId: charge.GetCustomerId(), Amount: charge.GetAmount(),
			DeadlineTime: charge.GetNotAfter(), PaymentsDatabase: databases.Payments, Send: l.Send,
		}
	} else {
		void := c.GetVoid()
		l.Message = &eventsv1.OrderCancelling{
			OrderId: m.Key, CustomerId: void.GetCustomerId(), Amount: void.GetAmount(),
			PaymentsDatabase: databases.Payments, Send: l.Send,
		}
	}
	l.Traceparent = dispatch.Begin(p.config.Traces, m, oteltrace.SpanKindProducer)
	return envelope.Seal(p.config.Topic, l)
}

// Method returns the event by which a delivery went, "" when nothing was sent.
func (p *Publisher) Method(r outbox.Report) string {
	switch {
	case !dispatch.Sent(r):
		return ""
	case order.Command(r.Message.Kind) == order.Void:
		return "OrderCancelling"
	}
	return "OrderPlaced"
}

// Ended ends the span of a delivery, if it has one, with what it came to.
func (p *Publisher) Ended(r outbox.Report) {
	span, ok := r.Message.Note.(oteltrace.Span)
	if !ok {
		return
	}
	dispatch.Outcome(span, r)
	span.End()
}
