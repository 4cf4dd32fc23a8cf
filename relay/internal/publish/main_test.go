package publish_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	moneyv1 "hosho/gen/money/v1"
	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/command"
	"hosho/internal/envelope"
	"hosho/internal/lab/brokers"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/relay/internal/publish"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// longWait bounds every wait. It is long, so that only a test that would fail runs into it.
const longWait = time.Minute

// tea is what everybody orders.
var tea = order.Order{
	CustomerID: "alice", AmountMinor: 500, Currency: "JPY", DeadlineAt: time.Date(2026, 11, 23, 16, 45, 0, 0, time.UTC),
}

func amountOf(o order.Order) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: o.Currency, AmountMinor: o.AmountMinor}
}

// corner is a publisher to topics of a test's own, and who hears what it says. A test that changes what it is made of
// opens it anew.
type corner struct {
	broker.Broker // the real one

	publisher *publish.Publisher
	registry  *prometheus.Registry
	databases publish.Databases
	heard     broker.Subscription

	broker   broker.Broker // what it publishes to
	topic    string
	timeout  time.Duration
	identify func(context.Context) (publish.Databases, error) // nil: databases are known
}

func makeCorner(t *testing.T) *corner {
	t.Helper()
	return makeCornerOn(t, brokertest.Shared(t, brokers.NATS))
}

func makeCornerOn(t *testing.T, server *brokers.Broker) *corner {
	t.Helper()
	prefix := "t" + uuid.NewString()[:8]
	flags := connect.Flags{BrokerURL: server.URL(), BrokerPrefix: prefix}
	b, err := flags.Open(t.Name(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	plan, err := broker.PlanOf(prefix, broker.MinRetention, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Declare(bound(t), plan); err != nil {
		t.Fatal(err)
	}
	c := &corner{
		Broker: b, broker: b, topic: broker.Orders(prefix), timeout: 5 * time.Second,
		databases: publish.Databases{Orders: uuid.NewString(), Payments: uuid.NewString()},
		heard:     b.Subscribe(broker.Orders(prefix), broker.Paymentd),
	}
	c.open()
	return c
}

// open makes the publisher.
func (c *corner) open() {
	c.registry = prometheus.NewRegistry()
	c.publisher = publish.New(publish.Config{
		Broker: c.broker, Topic: c.topic, Timeout: c.timeout, Registry: c.registry,
		Identify: func(ctx context.Context) (publish.Databases, error) {
			if c.identify != nil {
				return c.identify(ctx)
			}
			return c.databases, nil
		},
	})
}

// command is one of an order of its own, as a worker has claimed it.
func (c *corner) command(t *testing.T, kind order.Command) outbox.Message {
	t.Helper()
	o := tea
	o.ID = uuid.NewString()
	payload, err := command.Encode(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	return outbox.Message{Key: o.ID, Kind: string(kind), Payload: payload, Claims: 1}
}

// deliver returns the report of each command, by its key, when there is one of every one.
func (c *corner) deliver(t *testing.T, messages ...outbox.Message) map[string]outbox.Report {
	t.Helper()
	reports := make(chan outbox.Report, 2*len(messages))
	c.publisher.Deliver(t.Context(), messages, func(r outbox.Report) { reports <- r })
	all := map[string]outbox.Report{}
	for range messages {
		r := receive(t, reports)
		if _, twice := all[r.Message.Key]; twice {
			t.Fatalf("%s was reported twice", r.Message.Key)
		}
		all[r.Message.Key] = r
	}
	return all
}

// hear returns the next letters on the topic.
func (c *corner) hear(t *testing.T, n int) (all []envelope.Letter) {
	t.Helper()
	for len(all) < n {
		batch, err := c.heard.Fetch(bound(t), n-len(all))
		if err != nil {
			t.Fatalf("got %d events, want %d: %v", len(all), n, err)
		}
		done := make([]bool, len(batch.Events))
		for i, e := range batch.Events {
			l, err := envelope.Open(envelope.Orders, e)
			if err != nil {
				t.Fatal(err)
			}
			all, done[i] = append(all, l), true
		}
		batch.Done(done)
	}
	return all
}

// receive waits for something.
func receive[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-bound(t).Done():
		t.Fatal("it did not come")
	}
	return v
}

func bound(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	t.Cleanup(cancel)
	return ctx
}
