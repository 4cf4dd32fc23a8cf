package inbox_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/inbox"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/wait"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// people look at dead letters.
const people = "people"

// corner is a topic of a test's own.
type corner struct {
	broker.Broker

	url, topic string
}

func makeCorner(t *testing.T) *corner {
	t.Helper()
	c := &corner{url: brokertest.Shared(t, connect.NATS).URL(), topic: broker.Orders("t" + uuid.NewString()[:8])}
	c.Broker = c.connect(t)
	_, err := c.Declare(bound(t), broker.Plan{Retention: broker.MinRetention, Replicas: 1, Topics: []broker.Topic{
		{Name: c.topic, Groups: []string{broker.Paymentd}},
		{Name: broker.DeadLetters(c.topic), Groups: []string{people}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *corner) connect(t *testing.T) broker.Broker {
	t.Helper()
	flags := connect.Flags{BrokerURL: c.url, BrokerPrefix: "t"}
	b, err := flags.Open(t.Name(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func bound(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// publish puts events on the topic that have these ids.
func (c *corner) publish(t *testing.T, ids ...string) {
	t.Helper()
	events := make([]broker.Event, len(ids))
	for i, id := range ids {
		events[i] = broker.Event{
			Topic: c.topic, ID: id, Source: "urn:hosho:orders:1", Type: "hosho.events.v1.OrderPlaced", Subject: id,
			Time: time.Now(), ContentType: "application/protobuf",
		}
	}
	for _, err := range c.Publish(bound(t), events) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// letter returns the next dead letter.
func (c *corner) letter(t *testing.T) broker.Event {
	t.Helper()
	s := c.Subscribe(broker.DeadLetters(c.topic), people)
	defer s.Close()
	batch, err := s.Fetch(bound(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	batch.Done([]bool{true})
	return batch.Events[0]
}

// consumer asks NATS itself about the group.
func (c *corner) consumer(t *testing.T) jetstream.Consumer {
	t.Helper()
	conn, err := nats.Connect(c.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(bound(t), strings.ReplaceAll(c.topic, ".", "-"), broker.Paymentd)
	if err != nil {
		t.Fatal(err)
	}
	config := consumer.CachedInfo().Config
	config.AckWait = time.Second // the test is not to wait longer
	if consumer, err = js.UpdateConsumer(bound(t), consumer.CachedInfo().Stream, config); err != nil {
		t.Fatal(err)
	}
	return consumer
}

// empty waits until everything on the topic is acknowledged.
func (c *corner) empty(t *testing.T) {
	t.Helper()
	consumer := c.consumer(t)
	for ctx := bound(t); ; {
		about, err := consumer.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if about.NumPending == 0 && about.NumAckPending == 0 {
			return
		}
		wait.For(ctx, 10*time.Millisecond)
	}
}

// run has an inbox at work until the test ends, or stop is called.
func (c *corner) run(
	t *testing.T, b broker.Broker, handle func([]broker.Event) []inbox.Verdict,
) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		inbox.Run(ctx, inbox.Config{
			Broker: b, Topic: c.topic, Group: broker.Paymentd, Log: slog.New(slog.DiscardHandler),
			Handle: func(_ context.Context, events []broker.Event) []inbox.Verdict { return handle(events) },
		})
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return cancel
}

// each returns a verdict on each event.
func each(events []broker.Event, on func(id string) inbox.Verdict) []inbox.Verdict {
	verdicts := make([]inbox.Verdict, len(events))
	for i := range events {
		verdicts[i] = on(events[i].ID)
	}
	return verdicts
}

// log is what was handled.
type log struct {
	mu  sync.Mutex
	all []string
}

// note returns how often an event was handled, this time among them.
func (l *log) note(id string) (times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, id)
	for _, s := range l.all {
		if s == id {
			times++
		}
	}
	return times
}

func (l *log) sorted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.all))
}

func wantHandled(t *testing.T, l *log, want ...string) {
	t.Helper()
	if got := l.sorted(); !slices.Equal(got, want) {
		t.Errorf("got %v handled, want %v", got, want)
	}
}
