// Package inbox keeps up with a topic of a broker: it fetches events, has them handled, and says what became of them.
//
// Its promise: an event is dealt with only when its handler has said so, and until then it is given out again, however
// often this process dies in between. Nothing is refused or dead-lettered for a fault that passes. What can never be
// handled, and what kills its consumer again and again, goes to the topic of dead letters, which has confirmed it
// before it leaves here.
package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hosho/internal/broker"
	"hosho/internal/digest"
	"hosho/internal/failpoint"
	"hosho/internal/wait"
)

// Fate is what becomes of an event.
type Fate uint8

// The fates.
const (
	Done  Fate = iota + 1 // it is dealt with
	Later                 // it cannot be dealt with yet, which is not its fault
	Dead                  // it never can be
)

func (f Fate) String() string { return [...]string{"", "done", "later", "dead"}[f] }

// Verdict is what a handler says of an event.
type Verdict struct {
	Fate Fate
	Why  string // of a dead one: what is wrong with it
}

// Config says what is read, and by whom.
type Config struct {
	Broker broker.Broker
	Topic  string
	Group  string
	// Handle deals with events and returns a verdict on each, at its place. It is called by several goroutines at once.
	// What it panics for is handled by itself, and is dead where that panics again.
	Handle func(ctx context.Context, events []broker.Event) []Verdict
	// Ready says why nothing can be handled at present, so that nothing is fetched; nil: it can.
	Ready   func(ctx context.Context) error
	Metrics *Metrics // nil: nobody counts
	Log     *slog.Logger
}

const (
	// most is how many events are fetched at once.
	most = 250
	// oneByOne is how many events come one by one at the start, and after one that may kill.
	oneByOne = 20
	// parallel is how many batches are at work at a time.
	parallel = 4
	// pause is the time before another try after one that failed.
	pause = 200 * time.Millisecond
	// deadWithin bounds how long the topic of dead letters may take to confirm.
	deadWithin = 5 * time.Second
)

// inbox is a Config at work.
type inbox struct {
	Config

	suspects *suspects
	room     chan struct{} // a token for each batch at work
	outage   digest.Outage // while nothing can be fetched
}

// Run handles events until ctx ends and those under way are handled. Handlers are not interrupted.
func Run(ctx context.Context, c Config) {
	in := &inbox{Config: c, suspects: newSuspects(), room: make(chan struct{}, parallel)}
	subscription := c.Broker.Subscribe(c.Topic, c.Group)
	defer func() { subscription.Close() }()
	var working sync.WaitGroup
	defer working.Wait()
	alone := oneByOne // so many come one by one: what killed the last process may be among the first
	for ctx.Err() == nil {
		batch, ok := in.fetch(ctx, subscription, alone > 0)
		if !ok {
			continue
		}
		in.Metrics.fetched(batch.Events)
		alone = max(alone-len(batch.Events), 0)
		if in.suspects.among(batch.Events) {
			working.Wait() // what it breaks is broken for itself only
			if len(batch.Events) == 1 {
				alone = max(alone, oneByOne)
				in.all(ctx, batch)
				continue
			}
			// With one that kills all of them would count as given out in vain, again and again, until they are taken
			// for its like. Given back all come one by one: they must not be given back once more for each like it.
			alone = len(batch.Events)
			batch.Done(make([]bool, len(batch.Events)))
			subscription.Close()
			subscription = c.Broker.Subscribe(c.Topic, c.Group)
			continue
		}
		in.room <- struct{}{}
		working.Go(func() {
			defer func() { <-in.room }()
			in.all(ctx, batch)
		})
	}
}

// fetch returns events, false when there are none yet. Whoever is careful gets one at a time: a broker counts all that
// somebody held who died.
func (in *inbox) fetch(ctx context.Context, from broker.Subscription, careful bool) (broker.Batch, bool) {
	n := most
	if careful {
		n = 1
	}
	err := in.ready(ctx)
	var batch broker.Batch
	if err == nil {
		batch, err = from.Fetch(ctx, n)
	}
	if err != nil {
		if ctx.Err() == nil && in.outage.Met(1, time.Now()) > 0 { // a text with a port differs each time
			in.Log.Warn("cannot take events from the broker", "topic", in.Topic, "error", err)
		}
		wait.For(ctx, pause)
		return broker.Batch{}, false
	}
	if lasted, _, tell := in.outage.Over(time.Now()); tell {
		in.Log.Info("takes events from the broker again", "topic", in.Topic, "took", lasted)
	}
	return batch, len(batch.Events) > 0
}

func (in *inbox) ready(ctx context.Context) error {
	if in.Ready == nil {
		return nil
	}
	return in.Ready(ctx)
}

// all has a batch handled together, or one after the other where one of them is to be known.
func (in *inbox) all(ctx context.Context, batch broker.Batch) {
	ctx = context.WithoutCancel(ctx)
	var verdicts []Verdict
	var ok bool
	if len(batch.Events) > 1 {
		verdicts, ok = in.handle(ctx, batch.Events)
	}
	if !ok {
		verdicts = in.eachOf(ctx, batch.Events)
	}
	in.end(ctx, batch, verdicts)
}

func (in *inbox) eachOf(ctx context.Context, events []broker.Event) []Verdict {
	verdicts := make([]Verdict, 0, len(events))
	for i := range events {
		if n, dead := in.suspects.kills(&events[i]); dead {
			why := fmt.Sprintf("its consumers die of it: given out %d times in vain", n)
			verdicts = append(verdicts, Verdict{Dead, why})
			continue
		}
		v, ok := in.handle(ctx, events[i:i+1])
		if !ok {
			v = []Verdict{{Dead, "its consumer panics"}}
		}
		verdicts = append(verdicts, v...)
	}
	return verdicts
}

// handle returns false when the handler panicked.
func (in *inbox) handle(ctx context.Context, events []broker.Event) (verdicts []Verdict, ok bool) {
	failpoint.Here(failpoint.InboxFetched)
	defer func() {
		if p := recover(); p != nil {
			in.Log.Error("handling events panicked", "topic", in.Topic, "events", len(events), "panic", fmt.Sprint(p))
			verdicts, ok = nil, false
		}
	}()
	going, lost := lose(events)
	if len(going) > 0 {
		verdicts = in.Handle(ctx, going)
	}
	for _, at := range lost {
		verdicts = slices.Insert(verdicts, at, Verdict{Fate: Done})
	}
	return verdicts, true
}

// end sees to the dead letters, and tells the broker what is dealt with.
func (in *inbox) end(ctx context.Context, batch broker.Batch, verdicts []Verdict) {
	in.bury(ctx, batch.Events, verdicts)
	in.suspects.ended(batch.Events, verdicts)
	in.Metrics.ended(verdicts)
	ok := make([]bool, len(verdicts))
	for i, v := range verdicts {
		ok[i] = v.Fate != Later
	}
	failpoint.Here(failpoint.InboxHandled)
	batch.Done(ok)
}

// bury publishes what is dead where people find it. What is not confirmed there stays.
func (in *inbox) bury(ctx context.Context, events []broker.Event, verdicts []Verdict) {
	var letters []broker.Event
	var at []int
	for i, v := range verdicts {
		if v.Fate == Dead {
			letter := events[i]
			letter.Topic, letter.Reason = broker.DeadLetters(in.Topic), v.Why
			letters, at = append(letters, letter), append(at, i)
		}
	}
	if len(letters) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, deadWithin)
	defer cancel()
	for i, err := range in.Broker.Publish(ctx, letters) {
		attrs := []any{"topic", in.Topic, "id", letters[i].ID, "type", letters[i].Type, "why", letters[i].Reason}
		if err != nil {
			verdicts[at[i]] = Verdict{Fate: Later}
			in.Log.Warn("an event that nobody can handle stays: its dead letter was not confirmed",
				append(attrs, "error", err)...)
			continue
		}
		in.Log.Error("an event that nobody can handle is a dead letter", attrs...)
	}
}
