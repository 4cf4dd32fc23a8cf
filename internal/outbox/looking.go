package outbox

import (
	"context"
	"math/rand/v2"
	"time"

	"hosho/internal/wait"
)

// seldom is how many poll intervals may pass between two looks at an outbox that is empty, while wake-ups are heard,
// whoever it is that looks.
const seldom = 10

// patience is how many times as long as a look took the next one waits at least, and patientPolls for how many poll
// intervals at most. Where rows that are gone cannot be vacuumed it takes seconds. One that was slow just once, or that
// failed, says nothing.
const patience, patientPolls = 20, 60

// lookLoop looks after what no claim finds, until ctx ends, with one statement for all kinds. It wakes a worker for
// what is due: wake-ups may be lost, and a claim does not look behind its frontier. It has those given up that are too
// late and parked, or kept by an open breaker, and recalls what waits for a time which a clock that was set back has
// yet to come to.
func (all Workers) lookLoop(ctx context.Context) {
	first, empty, before := all[0], 0, time.Duration(0)
	for ctx.Err() == nil {
		began := time.Now()
		some, err := all.look(ctx)
		took := time.Since(began)
		if err != nil {
			took = 0
		}
		switch {
		case err != nil && ctx.Err() == nil && first.complaints.news("look", err, time.Now()):
			first.log.Error("cannot look at the outbox", "error", err)
		case err != nil || some:
			empty = 0
		default:
			empty++
		}
		all.untilNextLook(ctx, empty, patience*min(before, took))
		before = took
	}
}

// untilNextLook waits for a poll interval, as it is at present, and for several where there was nothing to be seen. Who
// is told meanwhile that somebody has looked, himself or in another process, waits anew, and for a part of the first
// interval only, which is another one for each: so one of them looks for all, and another when that one is gone.
func (all Workers) untilNextLook(ctx context.Context, empty int, least time.Duration) {
	c := all[0].config
	wait.For(ctx, min(least, c.PollInterval*patientPolls)-c.poll())
	polls := min(1<<min(empty, seldom), seldom)
	for n := 0; n < polls; n++ {
		if ctx.Err() != nil || n > 0 && !c.woken() {
			return
		}
		if all[0].relieved(ctx, c.poll()) {
			n = 0
			wait.For(ctx, rand.N(c.poll()))
		}
	}
}

// relieved waits for a time, and reports whether somebody has looked meanwhile.
func (w *Worker) relieved(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.looked:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// look makes one pass, and reports whether there is anything in the outbox that is not only parked.
func (all Workers) look(ctx context.Context) (some bool, err error) {
	first := all[0]
	kinds := make([]string, len(all))
	for i, w := range all {
		kinds[i] = w.queue.kind
	}
	bounded, cancel := context.WithTimeout(ctx, first.config.SettleTimeout)
	sights, err := first.queue.table.Look(bounded, first.queue.pool, first.config.longestWait(),
		first.config.woken(), kinds...)
	cancel()
	if err != nil {
		return false, err
	}
	for _, s := range sights {
		some = some || s.Next != nil || s.Late || s.Future
		for _, w := range all {
			if w.queue.kind == s.Kind {
				w.see(ctx, s)
			}
		}
	}
	return some, nil
}

// see does what a look says about this worker's kind.
func (w *Worker) see(ctx context.Context, s Sight) {
	due := s.Next != nil && *s.Next <= 0
	if s.Next != nil {
		w.keeping.lookMissed()
		w.wake.Ring()
	}
	if due || s.Next != nil && seconds(*s.Next) <= w.config.poll() {
		w.behind.Store(due)
		w.unsure.Store(true)
		w.Wake()
	}
	if s.Late || due {
		if err := w.sweep(ctx); err != nil && ctx.Err() == nil && w.complaints.news("sweep", err, time.Now()) {
			w.log.Error("cannot look for expired messages", "error", err)
		}
	}
	if s.Future {
		if err := w.recall(ctx); err != nil && ctx.Err() == nil && w.complaints.news("recall", err, time.Now()) {
			w.log.Error("cannot look for messages from the future", "error", err)
		}
	}
}
