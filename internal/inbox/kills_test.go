package inbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"hosho/internal/broker"
	"hosho/internal/inbox"
)

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
