package connect_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"

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

// An event that nobody gets is not delivered, whatever the broker makes of it.
func TestATopicThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		events := c.events(2)
		events[1].Topic = "t" + uuid.NewString()[:8] + ".orders"
		errs := c.Publish(bound(t), events)
		saysSetup(t, "publish", errs[1], events[1].Topic)

		_, err := c.connect(t).Subscribe(events[1].Topic, broker.Paymentd).Fetch(bound(t), 1)
		saysSetup(t, "fetch", err, events[1].Topic)

		plan, err := broker.PlanOf(strings.TrimSuffix(events[1].Topic, ".orders"), broker.MinRetention, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Check(bound(t), plan)
		saysSetup(t, "check", err, events[1].Topic)
	})
}

func saysSetup(t *testing.T, what string, err error, topic string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), "sagactl broker setup") {
		t.Errorf("%s: got %v, want an error that names %s and sagactl broker setup", what, err, topic)
	}
}

// A broker may drop a send that it has. The next send of the same fact is none that it has.
func TestAnotherSendOfTheSameFactArrives(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		e := c.events(1)[0]
		again := e
		again.Send++
		c.publish(t, e)
		c.publish(t, again)
		for _, got := range takeAll(t, c.subscribe(c), 2) {
			if got.ID != e.ID {
				t.Errorf("got %s, want %s twice", got.ID, e.ID)
			}
		}
	})
}

func TestWhatATopicCanPromiseIsTold(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		declared, err := c.Declare(bound(t), c.plan) // again: what is there stays
		if err != nil {
			t.Fatal(err)
		}
		if len(declared) != len(c.plan.Topics) {
			t.Fatalf("got %d promises, want %d", len(declared), len(c.plan.Topics))
		}
		for i, p := range declared {
			t.Logf("%+v", p)
			if p.Topic != c.plan.Topics[i].Name || len(p.Facts) == 0 || len(p.Unsafe) == 0 {
				t.Errorf("got %+v, want facts about %s, and what is unsafe with one server", p, c.plan.Topics[i].Name)
			}
			for _, text := range p.Unsafe {
				if !strings.HasSuffix(text, ": costs a resend, never money") {
					t.Errorf("%q: it does not say what that costs", text)
				}
			}
		}
	})
}
