package outbox

import (
	"sync/atomic"
	"time"
)

// resendEvery is the time between two messages that are handed over again while it is quiet.
const resendEvery = time.Second

// resends is when a worker hands over again what was handed over before.
//
// While no outcomes come, what is there is not handed over all at once again and again: whoever decides is away, or the
// way from him is broken. But neither does it stop, since nobody would say that he is back who has lost what he was
// asked. One message a second goes on, each time another, the longest due first.
type resends struct {
	first atomic.Pointer[time.Time] // when the first of what was handed over is due again; nil: not known
	quiet bool                      // of the claiming, as the next
	next  time.Time                 // while it is quiet, when one message may be handed over again
}

// note takes reports that were settled, and reports whether something is due again sooner than was known: whoever rests
// until then must hear of it.
func (r *resends) note(reports []Report) (sooner bool) {
	now := time.Now()
	for i := range reports {
		if reports[i].Result != HandedOver {
			continue
		}
		at := now.Add(reports[i].Delay)
		for known := r.first.Load(); known == nil || at.Before(*known); known = r.first.Load() {
			if r.first.CompareAndSwap(known, &at) {
				sooner = true
				break
			}
		}
	}
	return sooner
}

// due reports whether something may be due again. It says so once.
func (r *resends) due(now time.Time) bool {
	at := r.first.Load()
	passed := at != nil && !now.Before(*at) && r.first.CompareAndSwap(at, nil)
	return passed || r.quiet && !now.Before(r.next)
}

// until returns how long nothing is due again, most at most.
func (r *resends) until(most time.Duration) time.Duration {
	if at := r.first.Load(); at != nil {
		most = min(most, time.Until(*at))
	}
	if r.quiet {
		most = min(most, time.Until(r.next))
	}
	return most
}

// ration says whether a claim may take only what was never handed over, and whether one message beside that. When it is
// not quiet any more, claims begin from the beginning: what was left lies behind the frontier.
func (w *Worker) ration(now time.Time) (fresh, again bool) {
	r, was := &w.resends, w.resends.quiet
	r.quiet = w.config.Quiet != nil && w.config.Quiet()
	switch {
	case !r.quiet && was:
		w.behind.Store(true)
		return false, false
	case !r.quiet || now.Before(r.next):
		return r.quiet, false
	}
	r.next = now.Add(resendEvery)
	return true, true
}
