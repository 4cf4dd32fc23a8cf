package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"hosho/internal/broker"
	"hosho/internal/failpoint"
	"hosho/internal/wait"
)

// lossShare is how many of the acknowledged events are lost.
const lossShare = 0.1

// loseEvents has those who take events lose some of them: they are acknowledged, and nothing is done.
func loseEvents(ctx context.Context, s *system, _ *rand.Rand) error {
	return s.losing(ctx, lossShare, func() { <-ctx.Done() })
}

// losing has a share of the events lost while f runs.
func (s *system) losing(ctx context.Context, share float64, f func()) error {
	those := append(s.relays(), s.Paymentd)
	for _, p := range those {
		if err := p.Arm(fmt.Sprintf("%s=drop@%g", failpoint.InboxFetched, share)); err != nil {
			return err
		}
	}
	f()
	for _, p := range those {
		if err := p.Arm(""); err != nil {
			return err
		}
	}
	return nil
}

// repeatEvents publishes what it hears five times more.
func repeatEvents(ctx context.Context, s *system, random *rand.Rand) error {
	return s.echo(ctx, random, 5)
}

// reorderEvents has half of the events lost, and publishes a copy of each, late.
func reorderEvents(ctx context.Context, s *system, random *rand.Rand) (err error) {
	failed := s.losing(ctx, 0.5, func() { err = s.echo(ctx, random, 1) })
	if err == nil {
		err = failed
	}
	return err
}

const (
	// echoed marks what chaos itself has published, so that it does not answer itself.
	echoed = "chaos"
	// echoGroup is its group on both topics.
	echoGroup = "chaos"
	// echoLate is how late copies come at most.
	echoLate = 2 * time.Second
)

// echo hears what is published on both topics, and publishes copies of it, in any order and late, until ctx ends.
func (s *system) echo(ctx context.Context, random *rand.Rand, copies int) error {
	forever := context.WithoutCancel(ctx)
	client, plan, err := s.DialBroker()
	if err != nil {
		return err
	}
	defer client.Close()
	for i := range plan.Topics {
		if len(plan.Topics[i].Groups) > 0 {
			plan.Topics[i].Groups = append(plan.Topics[i].Groups, echoGroup)
		}
	}
	for ; ; wait.For(ctx, broker.KeepFor) { // another fault may have the broker away
		if _, err := client.Declare(ctx, plan); err == nil {
			break
		} else if ctx.Err() != nil {
			return nil
		}
	}
	var listening, late sync.WaitGroup
	for _, topic := range plan.Topics {
		if len(topic.Groups) == 0 {
			continue
		}
		from := client.Subscribe(topic.Name, echoGroup)
		seeds := rand.New(rand.NewPCG(random.Uint64(), 0))
		listening.Go(func() {
			defer from.Close()
			for ctx.Err() == nil {
				batch, err := from.Fetch(ctx, 250)
				if err != nil {
					wait.For(ctx, broker.KeepFor)
					continue
				}
				done := make([]bool, len(batch.Events))
				for i := range done {
					done[i] = true
				}
				batch.Done(done)
				again := copiesOf(batch.Events, copies)
				seeds.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
				after := span(seeds, 0, echoLate)
				late.Go(func() {
					wait.For(forever, after)
					bounded, cancel := context.WithTimeout(forever, echoLate)
					defer cancel()
					client.Publish(bounded, again) // what is lost is lost
				})
			}
		})
	}
	listening.Wait()
	late.Wait()
	return nil
}

func copiesOf(events []broker.Event, copies int) (again []broker.Event) {
	for _, e := range events {
		if e.Reason == echoed {
			continue
		}
		for range copies {
			e.Reason, e.Send = echoed, rand.Int32()
			again = append(again, e)
		}
	}
	return again
}

// poison publishes, of each kind of event that nobody can read, a few.
func poison(ctx context.Context, s *system, random *rand.Rand) error {
	client, plan, err := s.DialBroker()
	if err != nil {
		return err
	}
	defer client.Close()
	s.logs.expectDeadLetters()
	for ctx.Err() == nil {
		var bad []broker.Event
		for _, topic := range plan.Topics {
			if len(topic.Groups) > 0 {
				bad = append(bad, unreadable(topic.Name)...)
			}
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		client.Publish(bounded, bad) // what is not confirmed may be there or not
		cancel()
		wait.For(ctx, span(random, 100*time.Millisecond, time.Second))
	}
	return nil
}

// unreadable returns events that claim to be ours, each with another fault.
func unreadable(topic string) []broker.Event {
	id := uuid.NewString()
	good := broker.Event{
		Topic: topic, ID: id + "/placed", Source: "urn:hosho:orders:" + id, Type: "events.v1.OrderPlaced", Subject: id,
		Time: time.Now(), ContentType: "application/protobuf",
	}
	damaged, unknown, keyless := good, good, good
	damaged.Data = []byte{0xff, 0xff, 0xff}
	unknown.Type = "events.v1.OrderSent"
	keyless.Data, keyless.Subject = []byte("\x0a\x03abc"), "abc"
	return []broker.Event{damaged, unknown, keyless}
}
