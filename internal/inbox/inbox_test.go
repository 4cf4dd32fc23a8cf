package inbox_test

import (
	"context"
	"fmt"
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
	for ctx := bound(t); ; time.Sleep(10 * time.Millisecond) {
		about, err := consumer.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if about.NumPending == 0 && about.NumAckPending == 0 {
			return
		}
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

func TestWhatCannotBeDealtWithYetIsHandledAgain(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	var handled log
	c.run(t, c, func(events []broker.Event) []inbox.Verdict {
		return each(events, func(id string) inbox.Verdict {
			if handled.note(id) < 3 && id == "locked" {
				return inbox.Verdict{Fate: inbox.Later}
			}
			return inbox.Verdict{Fate: inbox.Done}
		})
	})
	c.publish(t, "free", "locked")
	c.empty(t)
	wantHandled(t, &handled, "free", "locked", "locked", "locked")
}

func TestWhatNobodyCanEverHandleIsADeadLetterWithTheReason(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	var handled log
	c.run(t, c, func(events []broker.Event) []inbox.Verdict {
		return each(events, func(id string) inbox.Verdict {
			handled.note(id)
			if id == "garbled" {
				return inbox.Verdict{Fate: inbox.Dead, Why: "it is garbled"}
			}
			return inbox.Verdict{Fate: inbox.Done}
		})
	})
	c.publish(t, "garbled", "good")
	if got := c.letter(t); got.ID != "garbled" || got.Reason != "it is garbled" || got.Fault != nil {
		t.Errorf("got the dead letter %+v, want that of garbled with the reason", got)
	}
	c.empty(t)
	wantHandled(t, &handled, "garbled", "good")
}

// Nothing is acknowledged that is not confirmed as a dead letter.
func TestADeadLetterThatIsNotConfirmedIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	full := &full{Broker: c, refuses: 2}
	c.run(t, full, func(events []broker.Event) []inbox.Verdict {
		return each(events, func(string) inbox.Verdict { return inbox.Verdict{Fate: inbox.Dead, Why: "no"} })
	})
	c.publish(t, "garbled")
	if got := c.letter(t); got.ID != "garbled" {
		t.Errorf("got the dead letter %+v, want that of garbled", got)
	}
	c.empty(t)
}

// full is a broker that confirms nothing at first.
type full struct {
	broker.Broker

	mu      sync.Mutex
	refuses int
}

func (f *full) Publish(ctx context.Context, events []broker.Event) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuses > 0 {
		f.refuses--
		return []error{fmt.Errorf("no room")}
	}
	return f.Broker.Publish(ctx, events)
}

// What panics is found by itself, and those beside it are done.
func TestAPanicIsADeadLetterOfItsEventAlone(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	c.publish(t, "a", "bomb", "z")
	c.run(t, c, func(events []broker.Event) []inbox.Verdict {
		return each(events, func(id string) inbox.Verdict {
			if id == "bomb" {
				panic("a bomb")
			}
			return inbox.Verdict{Fate: inbox.Done}
		})
	})
	if got := c.letter(t); got.ID != "bomb" || got.Reason != "its consumer panics" {
		t.Errorf("got the dead letter %+v, want that of the bomb", got)
	}
	c.empty(t)
}

// Three processes have died with all of these, and one event is why. It is met alone, kills on, and is a dead letter;
// those that were with it are handled.
func TestWhatKillsItsConsumerIsADeadLetterAndItsNeighboursAreNot(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	ids := []string{"a", "b", "c", "killer", "x", "y", "z"}
	c.publish(t, ids...)
	diedWith(t, c.consumer(t), len(ids), 3)
	var handled log
	over := make(chan struct{})
	defer close(over)
	deaths := make(chan struct{})
	live := func() (end func()) {
		b := c.connect(t)
		stop := c.run(t, b, func(events []broker.Event) []inbox.Verdict {
			return each(events, func(id string) inbox.Verdict {
				if id != "killer" {
					handled.note(id)
					return inbox.Verdict{Fate: inbox.Done}
				}
				if len(events) > 1 {
					t.Errorf("the killer was met with %d others", len(events)-1)
				}
				select {
				case deaths <- struct{}{}:
				case <-over:
				}
				<-over // of a process that is dead nothing comes any more
				return inbox.Verdict{Fate: inbox.Later}
			})
		})
		return func() { stop(); b.Close() }
	}
	letters := make(chan broker.Event, 1)
	go func() {
		batch, err := c.Subscribe(broker.DeadLetters(c.topic), people).Fetch(bound(t), 1)
		if err != nil {
			t.Error(err)
			batch.Events = make([]broker.Event, 1)
		}
		letters <- batch.Events[0]
	}()
	for n := 0; ; n++ {
		c.publish(t, fmt.Sprint("new ", n)) // which comes first, before it is noticed that somebody died
		end := live()
		select {
		case <-deaths:
			end()
			continue
		case got := <-letters:
			if got.ID != "killer" || !strings.HasPrefix(got.Reason, "its consumers die of it") || n == 0 {
				t.Errorf("after %d deaths: got the dead letter %+v, want that of the killer", 3+n, got)
			}
		}
		break
	}
	c.empty(t)
	for _, id := range ids {
		if id != "killer" && !slices.Contains(handled.sorted(), id) {
			t.Errorf("%s was not handled", id)
		}
	}
}

// diedWith has so many events given out in vain, so many times.
func diedWith(t *testing.T, consumer jetstream.Consumer, events, times int) {
	t.Helper()
	for died := 1; ; died++ {
		var held []jetstream.Msg
		for ctx := bound(t); len(held) < events; {
			batch, err := consumer.Fetch(events-len(held), jetstream.FetchContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			for m := range batch.Messages() {
				held = append(held, m)
			}
		}
		if died == times {
			return // it is noticed after a while
		}
		for _, m := range held {
			if err := m.Nak(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
