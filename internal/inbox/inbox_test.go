package inbox_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"hosho/internal/broker"
	"hosho/internal/inbox"
)

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

// A stranger writes to the topic: what has no headers of ours, and two things with one id. People find each as it came,
// with the reason, and nothing that nobody said.
func TestEachDeadLetterIsWhatCame(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	c.run(t, c, func(events []broker.Event) []inbox.Verdict {
		return each(events, func(string) inbox.Verdict { return inbox.Verdict{Fate: inbox.Dead, Why: "no"} })
	})
	stranger, err := nats.Connect(c.url)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	came := []*nats.Msg{
		{Data: []byte("hello"), Header: nats.Header{}},
		{Data: []byte("hello"), Header: nats.Header{"Shop": {"7", "8"}}},
		{Data: []byte("{}"), Header: nats.Header{"ce-id": {"1"}, "content-type": {"application/json"}}},
		{Data: []byte("[]"), Header: nats.Header{"ce-id": {"1"}, "ce-time": {"noon"}}},
	}
	for _, m := range came {
		m.Subject = c.topic
		if err := stranger.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	found := make(chan *nats.Msg, len(came))
	js, err := stranger.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.ChanSubscribe(broker.DeadLetters(c.topic), found, nats.OrderedConsumer()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range came {
		select {
		case m := <-found:
			got = append(got, fmt.Sprintf("%s %v", m.Data, m.Header))
		case <-bound(t).Done():
			t.Fatalf("got only %d dead letters of %d: %q", len(got), len(came), got)
		}
	}
	for _, m := range came {
		m.Header.Set("ce-reason", "no")
		if want := fmt.Sprintf("%s %v", m.Data, m.Header); !slices.Contains(got, want) {
			t.Errorf("got %q, want %q among the dead letters", got, want)
		}
	}
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

// Behind a load balancer the text of a fault has a port, which is another each time. The log has the outage once, and
// its end with how long it took.
func TestAnOutageIsToldOnceThoughItsTextChanges(t *testing.T) {
	t.Parallel()
	c := makeCorner(t)
	var text bytes.Buffer
	tries := 0
	ctx, stop := context.WithCancel(bound(t))
	c.publish(t, "waits")
	inbox.Run(ctx, inbox.Config{
		Broker: c, Topic: c.topic, Group: broker.Paymentd, Log: slog.New(slog.NewTextHandler(&text, nil)),
		Ready: func(context.Context) error {
			if tries++; tries > 5 {
				return nil
			}
			return fmt.Errorf("read tcp 127.0.0.1:%d: connection reset by peer", 50000+tries)
		},
		Handle: func(_ context.Context, events []broker.Event) []inbox.Verdict {
			stop()
			return each(events, func(string) inbox.Verdict { return inbox.Verdict{Fate: inbox.Done} })
		},
	})
	told := strings.Count(text.String(), "cannot take events from the broker")
	over := strings.Count(text.String(), "takes events from the broker again")
	if told != 1 || over != 1 || !strings.Contains(text.String(), "took=") {
		t.Errorf("got %d lines of five tries and %d of their end, want one each, with how long it took:\n%s",
			told, over, text.String())
	}
}
