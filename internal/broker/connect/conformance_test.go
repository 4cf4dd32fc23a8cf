package connect_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hosho/internal/broker"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/slow"
)

func TestWhatIsPublishedIsFetchedAsItWas(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(20)
		c.publish(t, events...)
		same(t, takeAll(t, c.subscribe(c), len(events)), events)
	})
}

// A dead letter has its reason, and nobody subscribes to its topic: it is confirmed all the same.
func TestADeadLetterIsConfirmed(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		letter := c.events(1)[0]
		letter.Topic, letter.Reason = broker.DeadLetters(c.orders()), "nobody can read it: ü"
		c.publish(t, letter)
	})
}

// Dead letters are of anybody, who may have given several one id, or none. Each is kept, with the headers that it came
// with and no other but the reason.
func TestNoDeadLetterIsTakenForAnother(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		topic := broker.DeadLetters(c.orders())
		_, err := c.Declare(bound(t), broker.Plan{Retention: broker.MinRetention, Replicas: 1, Topics: []broker.Topic{
			{Name: topic, Groups: []string{people}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		want := []broker.Event{
			{Came: []broker.Header{}},
			{Came: []broker.Header{}, Data: []byte("{}"), ContentType: "application/json"},
			{Came: []broker.Header{{Name: "shop", Value: "7 ü"}}, ID: "1"},
			{Came: []broker.Header{{Name: "shop", Value: "8"}}, ID: "1", Data: []byte{0xff, 0}},
		}
		for i := range want {
			want[i].Topic, want[i].Reason = topic, fmt.Sprint("unreadable ", i)
			c.publish(t, want[i]) // by itself, as they come
		}
		got := takeAll(t, c.Subscribe(topic, people), len(want))
		for i, e := range got {
			e.Came = slices.DeleteFunc(e.Came, func(h broker.Header) bool { return h.Value == e.Reason })
			want[i].ID = "" // was no header
			if e.Fault == nil {
				t.Errorf("got %+v without a fault, want none of its attributes invented", e)
			}
			if diff := cmp.Diff(want[i], e, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(e, "Fault")); diff != "" {
				t.Errorf("dead letter %d: -want +got:\n%s", i, diff)
			}
		}
	})
}

// people look at dead letters.
const people = "people"

func TestABigBatchIsConfirmed(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		c.publish(t, c.events(12_000)...)
	})
}

func TestOneEventIsFetchedWhereOneIsAskedFor(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(5)
		c.publish(t, events...)
		s := c.subscribe(c)
		var got []broker.Event
		for range events {
			got = append(got, takeAll(t, s, 1)...)
		}
		same(t, got, events)
	})
}

// As the inbox does at its start: it holds one alone, finds it harmless, and fetches many while that is being handled.
func TestWhatIsHeldAloneIsNotGivenOutAgainWithMany(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(5)
		c.publish(t, events...)
		s := c.subscribe(c)
		alone := take(t, s, 1)
		got := slices.Concat(alone.Events, takeAll(t, s, len(events)-1))
		same(t, got, events)
		more := c.events(1)
		c.publish(t, more...)
		same(t, takeAll(t, s, 1), more)
		alone.Done(each(alone, true))
	})
}

// Batches may be done in any order, and the one after the other is fetched before.
func TestWhatIsDoneIsNotGivenOutAgain(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(30)
		c.publish(t, events...)
		first := c.connect(t)
		s := c.subscribe(first)
		var batches []broker.Batch
		for held := 0; held < len(events); {
			batches = append(batches, take(t, s, 7))
			held += len(batches[len(batches)-1].Events)
		}
		for i := range batches {
			last := batches[len(batches)-1-i]
			last.Done(each(last, true))
		}
		first.Close()
		more := c.events(1)
		c.publish(t, more...)
		same(t, takeAll(t, c.subscribe(c), 1), more)
	})
}

func TestWhatIsKeptIsGivenOutAgain(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(3)
		c.publish(t, events...)
		s := c.subscribe(c)
		for range 3 {
			var got []broker.Event
			for len(got) < len(events) {
				batch := take(t, s, len(events))
				got = append(got, batch.Events...)
				batch.Done(each(batch, false))
			}
			same(t, got, events) // not counted as given out in vain
		}
		more := c.events(1)
		c.publish(t, more...) // which is fetched beside what is kept
		same(t, takeAll(t, s, len(events)+1), append(events, more...))
	})
}

// While so many are kept, nothing new is fetched. They come, and then what came meanwhile.
func TestNothingNewIsFetchedWhileTooManyAreKept(t *testing.T) {
	t.Parallel()
	slow.Test(t, "keeps a thousand events")
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(broker.MostKept)
		c.publish(t, events...)
		s := c.subscribe(c)
		for held := 0; held < len(events); {
			batch := take(t, s, len(events)-held)
			held += len(batch.Events)
			batch.Done(each(batch, false))
		}
		more := c.events(1)
		c.publish(t, more...)
		kept := byID(events)
		for range 20 {
			batch := take(t, s, 10)
			for _, e := range batch.Events {
				if _, old := kept[e.ID]; !old {
					t.Fatalf("got %s, which is new", e.ID)
				}
			}
			batch.Done(each(batch, false))
		}
		same(t, takeAll(t, s, len(events)+1), append(events, more...))
	})
}

// Who dies does not say what became of what it held.
func TestWhatItsHolderDiedWithIsGivenOutAgainAndCounted(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits until a broker takes a holder for dead")
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(1)
		c.publish(t, events...)
		c.diesHolding(t, 1)
		c.diesHolding(t, 1)
		s := c.subscribe(c)
		batch := take(t, s, 1)
		if e := batch.Events[0]; e.ID != events[0].ID || e.Given != 2 {
			t.Errorf("got %s, given out %d times before, want %s and 2", e.ID, e.Given, events[0].ID)
		}
		batch.Done(each(batch, true))
		more := c.events(1)
		c.publish(t, more...)
		same(t, takeAll(t, s, 1), more)
	})
}

func TestTwoOfAGroupShare(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits until a broker has shared out")
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		ctx, cancel := context.WithCancel(bound(t))
		defer cancel()
		type got struct {
			by    int
			event broker.Event
		}
		arrived := make(chan got)
		for by := range 2 {
			s := c.subscribe(c.connect(t))
			go func() {
				for ctx.Err() == nil {
					batch, err := s.Fetch(ctx, 10)
					if err != nil {
						continue
					}
					batch.Done(each(batch, true))
					for _, e := range batch.Events {
						select {
						case arrived <- got{by, e}:
						case <-ctx.Done():
						}
					}
				}
			}()
		}
		seen, by := map[string]bool{}, [2]int{}
		for by[0] == 0 || by[1] == 0 { // until both have had some
			events := c.events(50)
			c.publish(t, events...)
			for missing := byID(events); len(missing) > 0; {
				select {
				case g := <-arrived:
					if seen[g.event.ID] && g.event.Given == 0 && kind != "kafka" { // which gives again what moves
						t.Errorf("%s: both got it", g.event.ID)
					}
					seen[g.event.ID] = true
					by[g.by]++
					delete(missing, g.event.ID)
				case <-ctx.Done():
					t.Fatalf("got %v of each, and %d are missing", by, len(missing))
				}
			}
		}
	})
}
