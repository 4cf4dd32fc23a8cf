package outbox

import (
	"context"
	"time"

	"hosho/internal/failpoint"
)

// claimLoop claims and delivers until ctx ends. Deliveries go on in working.
func (w *Worker) claimLoop(ctx, working context.Context) {
	for ctx.Err() == nil {
		p := w.admit()
		if p.limit == 0 {
			w.keeping.want(false)
			w.idle(ctx, p.wait, w.room)
			continue
		}
		more, err := w.claimNext(ctx, working, p)
		switch {
		case err != nil && ctx.Err() == nil:
			if w.complaints.news("claim", err, time.Now()) {
				w.log.Error("cannot claim", "error", err)
			}
			w.any.Store(true)
			w.idle(ctx, w.config.PollInterval, nil)
		case err == nil && !more:
			w.rest(ctx, p.alone)
		}
	}
}

// claimNext makes one pass over what was written for this worker, or over what is due, and reports whether there was
// more than it could take. Neither keeps the other waiting.
func (w *Worker) claimNext(ctx, working context.Context, p permit) (more bool, err error) {
	due := p.probe || w.something()
	if due && (p.probe || w.read) {
		w.read = false
		return w.claimDue(ctx, working, p)
	}
	if found, err := w.readMissed(ctx, working); found || err != nil {
		return false, err
	}
	if w.read, more, err = w.readBorn(ctx, working, p.limit); w.read || err != nil || !due {
		return more, err
	}
	return w.claimDue(ctx, working, p)
}

// claimDue is claimNext for what is due, whoever may claim it.
func (w *Worker) claimDue(ctx, working context.Context, p permit) (more bool, err error) {
	w.any.Store(false)
	p.limit = min(p.limit, mostClaimed)
	found, err := w.claimOnce(ctx, working, p)
	if more = err == nil && found >= p.limit; more {
		w.any.Store(true)
	}
	w.keeping.want(err == nil && !more && !p.probe && !w.breaker.Open(time.Now()))
	return more, err
}

// something reports whether something may be due, of what anybody may claim: somebody said so, or its time has come.
func (w *Worker) something() bool {
	now := time.Now()
	if !w.due.IsZero() && !now.Before(w.due) {
		w.due = time.Time{}
		w.unsure.Store(true)
		w.any.Store(true)
	}
	if at := w.elsewhere.Load(); at != nil && !now.Before(*at) {
		w.elsewhere.Store(nil)
		w.any.Store(true)
	}
	if w.resends.due(now) {
		w.unsure.Store(true)
		w.any.Store(true)
	}
	return w.any.Load()
}

// permit says what a worker may claim now.
type permit struct {
	limit int           // messages
	alone int           // messages that must be delivered alone: none while there is one of them under way
	probe bool          // the breaker is open: one message in all
	wait  time.Duration // when limit is 0: before asking again, unless there is room earlier
}

func (w *Worker) admit() permit {
	w.mu.Lock()
	room := min(w.config.Batch, inFlightBatches*w.config.Batch-w.inFlight)
	alone := 1
	if w.alone {
		alone = 0
	}
	w.mu.Unlock()
	if room <= 0 {
		return permit{wait: w.config.PollInterval}
	}
	limit, probe, wait := w.breaker.Admit(room, time.Now())
	return permit{limit: limit, alone: alone, probe: probe, wait: wait}
}

// claimOnce makes one pass, and returns how many messages it found.
func (w *Worker) claimOnce(ctx, working context.Context, p permit) (int, error) {
	w.hush()
	began := time.Now()
	until := began.Add(w.config.Lease)
	messages, err := w.claim(working, p)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	w.config.claimed(messages, began)
	return len(messages), w.deliverClaimed(ctx, working, messages, until, p.probe)
}

// deliverClaimed delivers claimed messages, or gives them back when the worker was told to stop in the meantime, or
// the destination is down: nothing was sent.
func (w *Worker) deliverClaimed(ctx, working context.Context, messages []Message, until time.Time, probe bool) error {
	failpoint.Here(failpoint.RelayClaimed)
	if ctx.Err() != nil || w.breaker.Open(time.Now()) && !probe {
		return w.giveBack(working, messages)
	}
	w.deliver(working, messages, until)
	return nil
}

// claim is not broken off when the worker is told to stop: it would not be known what was claimed, and those messages
// would wait for the end of their leases.
func (w *Worker) claim(working context.Context, p permit) ([]Message, error) {
	ctx, cancel := context.WithTimeout(working, w.config.SettleTimeout)
	defer cancel()
	if p.probe {
		return w.claimProbe(ctx, p)
	}
	fresh, again := w.ration(time.Now())
	var found []claimed
	if again { // first: what is new may lie behind a million that are due again, farther than a claim may look
		one, err := w.claimAs(ctx, ask{limit: 1, again: true, from: w.beginning()})
		if err != nil {
			return nil, err
		}
		found = one
	}
	others, err := w.claimOthers(ctx, p, fresh)
	if err != nil && len(found) > 0 {
		w.any.Store(true) // the next pass has the error, or the others
		err = nil
	}
	return messagesOf(append(found, others...)), err
}

// claimOthers claims what is due, or what is new alone, from the frontier on.
func (w *Worker) claimOthers(ctx context.Context, p permit, fresh bool) ([]claimed, error) {
	a, beginning := ask{limit: p.limit, alone: p.alone, fresh: fresh, from: w.frontier.from}, w.beginning()
	if w.behind.Swap(false) || a.from.Before(beginning) {
		a.from = beginning
	}
	found, err := w.claimAs(ctx, a)
	if err == nil && len(found) == 0 && a.from.After(beginning) {
		a.from = beginning // what somebody woke the worker for may lie behind the frontier
		found, err = w.claimAs(ctx, a)
	}
	if err == nil {
		w.frontier.moved(found, p.limit)
	}
	return found, err
}

// claimAs is the queue's claim, which it counts.
func (w *Worker) claimAs(ctx context.Context, a ask) ([]claimed, error) {
	began := time.Now()
	found, err := w.queue.claim(ctx, a)
	if err == nil {
		w.counts.claim(found, began)
	}
	return found, err
}

// claimProbe claims one message. One that was not tried yet is the better probe: those that were may be what fails,
// while the others would not.
func (w *Worker) claimProbe(ctx context.Context, p permit) ([]Message, error) {
	beginning := w.beginning()
	for _, a := range []ask{
		{limit: p.limit, untried: true, from: beginning},
		{limit: p.limit, from: beginning},
		// In a long outage every message may have been claimed in vain so often that it must go alone. Then one of
		// those is the probe, or the breaker would stay open for ever.
		{alone: p.alone, from: beginning},
	} {
		found, err := w.claimAs(ctx, a)
		if err != nil || len(found) > 0 || a.limit > 0 && !a.untried && p.alone == 0 {
			return messagesOf(found), err
		}
	}
	return nil, nil
}

func (w *Worker) giveBack(working context.Context, messages []Message) error {
	ctx, cancel := context.WithTimeout(working, w.config.SettleTimeout)
	defer cancel()
	w.behind.Store(true)
	return w.queue.Release(ctx, messages)
}

// idle waits for a wake-up, for another signal, or for the time to pass, and reports whether it passed.
func (w *Worker) idle(ctx context.Context, d time.Duration, other <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-other:
	case <-timer.C:
		return true
	case <-ctx.Done():
	}
	return false
}

const (
	// mostClaimed bounds a claim, which others wait for that want the same cores: what is due is claimed one after the
	// other, without a pause, until there is no more.
	mostClaimed = 125
	// minWait keeps a worker from spinning on a row that is due and that another worker has locked.
	minWait = 5 * time.Millisecond
	// linger is a worker's, unless a test sets it.
	linger = 10 * time.Millisecond
	// few is how many messages in flight keep no wake-up waiting.
	few = 8
	// longRest is longer than any rest: whatever there is to do, somebody wakes the worker for it.
	longRest = time.Hour
)

// rest waits for a wake-up, or until something is due. While many messages are in flight, a wake-up waits until some of
// them are settled, and the next claim takes what has come in the meantime: few large batches cost less than many small
// ones. A worker that has nothing to do claims at once.
func (w *Worker) rest(ctx context.Context, alone int) {
	if w.unsure.Swap(false) {
		w.due = w.untilDue(ctx, alone)
	}
	for ctx.Err() == nil && !w.keeping.any() && !w.something() {
		w.idle(ctx, w.untilSomething(), nil)
	}
	w.mu.Lock()
	many := w.inFlight > few
	w.mu.Unlock()
	if many {
		w.settled(ctx)
	}
}

// untilSomething is how long there is nothing to do unless somebody wakes the worker.
func (w *Worker) untilSomething() time.Duration {
	d := longRest
	if !w.due.IsZero() {
		d = time.Until(w.due)
	}
	if at := w.elsewhere.Load(); at != nil {
		d = min(d, time.Until(*at))
	}
	d = min(d, w.resends.until(d))
	return max(d, minWait)
}

// hush has the bell silent of what was settled before.
func (w *Worker) hush() {
	select {
	case <-w.room:
	default:
	}
}

// settled waits until something is settled that was in flight, but not for long.
func (w *Worker) settled(ctx context.Context) {
	timer := time.NewTimer(w.linger)
	defer timer.Stop()
	select {
	case <-w.room:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// untilDue returns when the next message is due, by this process's clock; zero: there is none, or it is not known.
func (w *Worker) untilDue(ctx context.Context, alone int) time.Time {
	ctx, cancel := context.WithTimeout(ctx, w.config.SettleTimeout)
	defer cancel()
	next, any, err := w.queue.NextDue(ctx, alone, w.resends.quiet, w.beginning())
	if err != nil || !any {
		return time.Time{}
	}
	if next <= 0 {
		w.behind.Store(true)
	}
	return time.Now().Add(next)
}
