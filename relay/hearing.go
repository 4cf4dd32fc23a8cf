package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"hosho/internal/batch"
	"hosho/internal/broker"
	"hosho/internal/envelope"
	"hosho/internal/inbox"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pg"
	"hosho/relay/internal/publish"
)

// overBroker is the way over a broker: commands are published, and what became of them is heard.
type overBroker struct {
	*publish.Publisher
	*pin

	to       destination
	inbox    inbox.Config // but for Ready
	handler  *handler
	changed  func() // tells the workers that commands were appended or rescheduled
	within   time.Duration
	patience time.Duration // without an event, before it is quiet
	last     atomic.Int64  // when the last event came of the payments database that is trusted, in Unix nanoseconds
	failed   atomic.Bool   // the database did, when it was asked last
	silent   atomic.Bool   // somebody was told that no event comes
	counts   heardCounts
	log      *slog.Logger
}

// Run takes events from the broker until ctx ends. Whether the database is ready is asked when something has failed.
func (o *overBroker) Run(ctx context.Context, ready func(context.Context) error) {
	o.inbox.Ready = func(ctx context.Context) error {
		if !o.failed.Load() {
			return nil
		}
		err := ready(ctx)
		o.failed.Store(err != nil)
		return err
	}
	inbox.Run(ctx, o.inbox)
}

// Close does nothing: what is published is waited for no longer than a delivery may take.
func (o *overBroker) Close() {}

// Condition is the way's.
func (o *overBroker) Condition() condition {
	return condition{
		transport: o.to.kind, prefix: o.to.prefix, away: o.to.broker.Away(), heard: o.heard(), patience: o.patience,
	}
}

// heard is when the last event came.
func (o *overBroker) heard() time.Time { return time.Unix(0, o.last.Load()) }

// quiet reports whether outcomes have ceased to come.
func (o *overBroker) quiet() bool { return time.Since(o.heard()) >= o.patience }

// Deliver publishes; see way. What is handed over once more while no outcomes come waits for whom nobody hears, and
// somebody is told so once.
func (o *overBroker) Deliver(ctx context.Context, messages []outbox.Message, report func(outbox.Report)) {
	again := slices.ContainsFunc(messages, func(m outbox.Message) bool { return m.Sends > 0 })
	if again && o.quiet() && o.silent.CompareAndSwap(false, true) {
		o.log.WarnContext(ctx, "no payment event comes: what was handed over is handed over again, one a second",
			"for", time.Since(o.heard()), "topic", o.inbox.Topic)
	}
	o.Publisher.Deliver(ctx, messages, report)
}

// hears notes that outcomes come, and wakes the workers if they had ceased to.
func (o *overBroker) hears() {
	last, was := o.heard(), o.quiet()
	o.last.Store(time.Now().UnixNano())
	if !was {
		return
	}
	o.changed()
	if o.silent.Swap(false) {
		o.log.Info("payment events come again", "after", time.Since(last), "topic", o.inbox.Topic)
	}
}

// item is an event at its place in a batch.
type item struct {
	*said

	at int
}

// handle is the inbox's: it applies events to their orders. Those about one order are applied one after the other.
func (o *overBroker) handle(ctx context.Context, events []broker.Event) []inbox.Verdict {
	verdicts := make([]inbox.Verdict, len(events))
	first, rounds := map[string]int{}, [][]item{}
	about := map[string]int{} // events of an order so far
	repeats := map[int]int{}
	for i, e := range events {
		s, v := o.open(ctx, e)
		if s == nil {
			verdicts[i] = v
			continue
		}
		id := e.Source + " " + e.ID
		if at, repeated := first[id]; repeated {
			repeats[i] = at
			continue
		}
		first[id] = i
		round := about[s.key]
		about[s.key]++
		if round == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[round] = append(rounds[round], item{s, i})
	}
	for _, round := range rounds {
		o.apply(ctx, round, verdicts)
	}
	for i, at := range repeats {
		verdicts[i] = verdicts[at]
		if verdicts[i].Fate == inbox.Done {
			o.counts.ignored(known)
		}
	}
	return verdicts
}

// open reads an event, and returns none, and what becomes of it, where there is nothing to be applied.
func (o *overBroker) open(ctx context.Context, e broker.Event) (*said, inbox.Verdict) {
	s, err := read(e)
	switch {
	case errors.Is(err, envelope.ErrForeign):
		o.counts.ignored("foreign")
		return nil, inbox.Verdict{Fate: inbox.Done}
	case err != nil:
		return nil, inbox.Verdict{Fate: inbox.Dead, Why: err.Error()}
	}
	bounded, cancel := context.WithTimeout(ctx, o.within)
	defer cancel()
	trusted, err := o.trusts(bounded, s.database)
	switch {
	case err != nil:
		o.fails(1, err)
		return nil, inbox.Verdict{Fate: inbox.Later}
	case !trusted:
		o.counts.ignored("another_database")
		return nil, inbox.Verdict{Fate: inbox.Done}
	}
	o.hears()
	if s.passes {
		o.counts.ignored("no_refusal")
		return nil, inbox.Verdict{Fate: inbox.Done}
	}
	return s, inbox.Verdict{}
}

// apply applies events about different orders. One that is poison fails alone, and is dead.
func (o *overBroker) apply(ctx context.Context, items []item, verdicts []inbox.Verdict) {
	do := func(items []item) (orderdb.Settlement, error) { return o.settle(ctx, items) }
	poison := func(err error) bool { return pg.Classify(err) == pg.Unexpected }
	for part := range batch.Bisect(items, do, poison) {
		v := inbox.Verdict{Fate: inbox.Done}
		switch {
		case part.Err != nil && poison(part.Err):
			v = inbox.Verdict{Fate: inbox.Dead, Why: part.Err.Error()}
		case part.Err != nil:
			v = inbox.Verdict{Fate: inbox.Later}
			o.fails(len(part.Items), part.Err)
		}
		for _, it := range part.Items {
			verdicts[it.at] = v
		}
		for _, i := range part.Result.Later {
			verdicts[part.Items[i].at] = inbox.Verdict{Fate: inbox.Later}
		}
	}
}

// fails notes that the database could not be worked with.
func (o *overBroker) fails(events int, err error) {
	if !o.failed.Swap(true) {
		o.log.Warn("cannot apply events yet", "events", events, "error", err)
	}
}

// settle applies events in one go, and tells what that changed.
func (o *overBroker) settle(ctx context.Context, items []item) (orderdb.Settlement, error) {
	ctx, cancel := context.WithTimeout(ctx, o.within)
	defer cancel()
	heard := make([]orderdb.Heard, len(items))
	for i, it := range items {
		heard[i] = orderdb.Heard{
			OrderID: it.key, Kind: it.kind, Refused: it.refused,
			Finding: func(m outbox.Message) orderdb.Finding { return o.finding(it.said, m) },
		}
	}
	began := time.Now()
	done, err := o.handler.store.Hear(ctx, heard)
	o.trace(began, items, done, err)
	o.handler.tell(done.Changes) // along with an error, too: they are committed
	if err != nil {
		return done, err
	}
	o.handler.tellVain(done.Vain)
	if done.More {
		o.changed()
	}
	o.explain(items, done)
	return done, nil
}

// trace makes the spans of events that were applied.
func (o *overBroker) trace(began time.Time, items []item, done orderdb.Settlement, err error) {
	if o.handler.traces == nil {
		return
	}
	reports := make([]outbox.Report, len(items))
	for i, it := range items {
		reports[i] = it.report
	}
	o.handler.traceSettled(began, reports, done, err)
}

// finding is what an event comes to for its command as it is now.
func (o *overBroker) finding(s *said, m outbox.Message) orderdb.Finding {
	if m.Traceparent == nil {
		m.Traceparent = s.report.Message.Traceparent
	}
	s.report.Message = m
	if s.refused > 0 {
		s.report.Delay = o.handler.backoff(m.Kind).Delay(s.refused)
	}
	return o.handler.finding(s.report)
}

// explain logs what was applied, as far as it is worth a line, and calls for a person for orders that there are not.
// What was known before is counted, and told nobody: it is no delivery.
func (o *overBroker) explain(items []item, done orderdb.Settlement) {
	skip := make(map[int]bool, len(done.Later))
	for _, i := range done.Later {
		skip[i] = true
	}
	for _, i := range done.Idle {
		skip[i] = true
		o.counts.ignored("counted_before")
	}
	for _, i := range done.Known {
		skip[i] = true
		o.counts.ignored(known)
	}
	for _, i := range done.Unknown {
		skip[i] = true
		o.counts.ignored("unknown_order")
		o.handler.persons.callAbout(items[i].report.Message, items[i].report.Code, unknownOrder)
	}
	for i, it := range items {
		if skip[i] {
			continue
		}
		if it.refused > 0 {
			o.counts.refused(it.kind)
		}
		o.handler.Explain(it.report)
	}
}
