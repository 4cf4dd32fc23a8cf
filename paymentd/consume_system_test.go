package main

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	eventsv1 "hosho/gen/events/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/envelope"
	"hosho/internal/lab/brokers/brokertest"
)

// shop is the orders side of a broker, with an orders database of its own, and a paymentd that consumes.
type shop struct {
	*system

	t        *testing.T
	url      string
	broker   broker.Broker
	prefix   string
	database string // the identity of the orders database
	outcomes broker.Subscription
	counts   *prometheus.Registry // of the consumer
	consumer *consumer
	through  func(broker.Broker) broker.Broker // what the consumer is given in the place of its broker; nil: nothing is

	consuming     sync.WaitGroup
	stopConsuming context.CancelFunc
}

// overBrokers runs a test over each kind of broker.
func overBrokers(t *testing.T, test func(t *testing.T, kind string)) {
	t.Parallel()
	brokertest.Each(t, test)
}

// openShop makes topics on a broker of a test's own.
func openShop(t *testing.T, kind string) *shop {
	t.Helper()
	s := &shop{
		t: t, url: brokertest.Start(t, kind).URL(), prefix: "test", database: newID(), counts: prometheus.NewRegistry(),
	}
	s.broker = dial(t, s.url)
	plan, err := broker.PlanOf(s.prefix, broker.MinRetention, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.broker.Declare(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	s.outcomes = s.broker.Subscribe(broker.Payments(s.prefix), broker.Relay)
	return s
}

// startOver starts a paymentd with the simulation of the demo, which consumes from a broker of its own.
func startOver(t *testing.T, kind string, options ...func(*server)) *shop {
	t.Helper()
	s := openShop(t, kind)
	s.system = start(t, append(options, s.consume)...)
	return s
}

// consume has a server that is started consume, until the test ends.
func (s *shop) consume(served *server) {
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	s.stopConsuming = stop
	s.t.Cleanup(func() {
		stop()
		s.consuming.Wait()
	})
	b := dial(s.t, s.url)
	if s.through != nil {
		b = s.through(b)
	}
	s.consumer = newConsumer(served, b, s.prefix, s.counts)
	s.consuming.Go(func() { s.consumer.run(ctx) })
}

func dial(t *testing.T, url string) broker.Broker {
	t.Helper()
	flags := connect.Flags{BrokerURL: url, BrokerPrefix: "test"}
	b, err := flags.Open("test", slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// say publishes what the orders say.
func (s *shop) say(messages ...proto.Message) {
	s.t.Helper()
	s.sayAs(s.database, messages...)
}

// sayAs publishes what the orders of a database say.
func (s *shop) sayAs(database string, messages ...proto.Message) {
	s.t.Helper()
	var events []broker.Event
	for _, m := range messages {
		l := envelope.Letter{Side: envelope.Orders, Database: database, Time: time.Now(), Message: m}
		switch m := m.(type) {
		case *eventsv1.OrderPlaced:
			l.Key, l.Send = m.GetOrderId(), m.GetSend()
		case *eventsv1.OrderCancelling:
			l.Key, l.Send = m.GetOrderId(), m.GetSend()
		}
		event, err := envelope.Seal(broker.Orders(s.prefix), l)
		if err != nil {
			s.t.Fatal(err)
		}
		events = append(events, event)
	}
	s.publish(events...)
}

func (s *shop) publish(events ...broker.Event) {
	s.t.Helper()
	for _, err := range s.broker.Publish(s.t.Context(), events) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// hear returns what the payments say next.
func (s *shop) hear() envelope.Letter {
	s.t.Helper()
	batch, err := s.outcomes.Fetch(s.t.Context(), 1)
	if err != nil {
		s.t.Fatal(err)
	}
	batch.Done([]bool{true})
	letter, err := envelope.Open(envelope.Payments, batch.Events[0])
	if err != nil {
		s.t.Fatal(err)
	}
	if want := s.identity(s.t); letter.Database != want {
		s.t.Errorf("got an outcome of the payments database %s, want %s", letter.Database, want)
	}
	return letter
}

// hearOf returns what the payments say of a charge next, which is the next that they say.
func (s *shop) hearOf(c *paymentv1.ChargePaymentRequest) proto.Message {
	s.t.Helper()
	letter := s.hear()
	if letter.Key != c.GetPaymentId() {
		s.t.Errorf("got %T of %s, want one of %s", letter.Message, letter.Key, c.GetPaymentId())
	}
	return letter.Message
}

// wantHeard fails the test unless an event has the content of the payment's facts, and is of the same sort.
func wantHeard[M proto.Message](t *testing.T, got proto.Message, c *paymentv1.ChargePaymentRequest) (m M) {
	t.Helper()
	facts, ok := got.(interface {
		GetPaymentId() string
		GetCustomerId() string
	})
	m, same := got.(M)
	if !ok || !same || facts.GetPaymentId() != c.GetPaymentId() || facts.GetCustomerId() != c.GetCustomerId() {
		t.Errorf("got %T %v, want %T of %v", got, got, m, c)
	}
	return m
}

// placed is the event of an order that is to be paid by a charge.
func placed(c *paymentv1.ChargePaymentRequest, send int32) *eventsv1.OrderPlaced {
	return &eventsv1.OrderPlaced{
		OrderId: c.GetPaymentId(), CustomerId: c.GetCustomerId(), Amount: c.GetAmount(),
		DeadlineTime: c.GetNotAfter(), PaymentsDatabase: c.GetPaymentsDatabase(), Send: send,
	}
}

// cancelling is the event of an order that is given up.
func cancelling(c *paymentv1.ChargePaymentRequest, send int32) *eventsv1.OrderCancelling {
	return &eventsv1.OrderCancelling{
		OrderId: c.GetPaymentId(), CustomerId: c.GetCustomerId(), Amount: c.GetAmount(),
		PaymentsDatabase: c.GetPaymentsDatabase(), Send: send,
	}
}
