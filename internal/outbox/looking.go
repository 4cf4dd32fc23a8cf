package outbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"hosho/internal/pg"
	"hosho/internal/wait"
)

// seldom is how many poll intervals may pass between two looks at an outbox that is empty, while wake-ups are heard,
// whoever it is that looks.
const seldom = 10

// patience is how many times as long as a look took the next one waits at least.
const patience = 20

// lookLoop looks after what no claim finds, until ctx ends, with one statement for all kinds. It wakes a worker for
// what is due: wake-ups may be lost, and a claim does not look behind its frontier. It has those given up that are too
// late and parked, or kept by an open breaker, and recalls what waits for a time which a clock that was set back has
// yet to come to.
func (all Workers) lookLoop(ctx context.Context) {
	first, empty := all[0], 0
	d := newDistance(first.config.SettleTimeout, first.dear)
	for ctx.Err() == nil {
		began := time.Now()
		some, err := all.look(ctx, d)
		switch {
		case err != nil && ctx.Err() == nil && first.complaints.news("look", err, time.Now()):
			first.log.Error("cannot look at the outbox", "error", err)
		case err != nil || some:
			empty = 0
		default:
			empty++
		}
		all.untilNextLook(ctx, empty, patience*time.Since(began))
	}
}

// untilNextLook waits for a poll interval, as it is at present, and for several where there was nothing to be seen. Who
// is told meanwhile that somebody has looked, himself or in another process, waits anew, and for a part of the first
// interval only, which is another one for each: so one of them looks for all, and another when that one is gone.
func (all Workers) untilNextLook(ctx context.Context, empty int, least time.Duration) {
	c := all[0].config
	wait.For(ctx, min(least, c.PollInterval*seldom)-c.poll())
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
func (all Workers) look(ctx context.Context, d *distance) (some bool, err error) {
	sights, err := all.sights(ctx, d)
	if err != nil {
		return false, err
	}
	all.each(sights, func(w *Worker, s Sight) {
		some = some || s.Next != nil || s.Late || s.Future
		w.see(ctx, s)
	})
	return some, nil
}

// each calls f with each worker and what was seen of its kind.
func (all Workers) each(sights []Sight, f func(*Worker, Sight)) {
	for _, s := range sights {
		for _, w := range all {
			if w.queue.kind == s.Kind {
				f(w, s)
			}
		}
	}
}

// sights looks as far as it is time to, and moves the horizons.
func (all Workers) sights(ctx context.Context, d *distance) (sights []Sight, err error) {
	first, began := all[0], time.Now()
	everything, within := d.next(began)
	v := view{
		longest: first.config.longestWait(), resent: first.config.longestResent(),
		tell: first.config.woken(),
	}
	for _, w := range all {
		v.kinds, v.from = append(v.kinds, w.queue.kind), append(v.from, w.beginning())
	}
	if everything {
		clear(v.from)
	}
	if within > d.usual {
		v.patience = within
	}
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	sights, err = first.queue.table.lookFrom(bounded, first.queue.pool, v)
	now := time.Now()
	switch {
	case err == nil:
		isDear := !everything || d.looked(now, now.Sub(began))
		all.each(sights, func(w *Worker, s Sight) { w.horizon.Store(s.horizon(isDear)) })
	case everything && (errors.Is(bounded.Err(), context.DeadlineExceeded) || errors.Is(err, pg.ErrBusy)):
		d.unfinished(now, first.horizon.Load() != nil)
	}
	return sights, err
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
