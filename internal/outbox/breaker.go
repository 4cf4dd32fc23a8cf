package outbox

import (
	"sync"
	"time"
)

// Breaker keeps a destination that is down from being called for every message. Where each kind of message has a
// worker, each is a destination of its own: that voids fail says nothing about charges. It opens after a streak of
// messages with different keys that all failed for causes that are not theirs, without one decision between them. While
// it is open one message a ProbeInterval may probe. A decision closes it.
//
// It closes as well when all that failed should have been tried again, and nothing has failed since: others have
// delivered what there was, or nobody wants it any more, and there is nothing that would find out.
//
// An ambiguous answer may be its message's own fault. It opens the breaker only where that is asked for, after a streak
// of its own.
type Breaker struct {
	streakLimit    int
	ambiguousLimit int // 0: ambiguous answers never open it

	// changed is told, in order, each time that it opens, and what for, or closes. It is called with the lock held.
	changed func(open bool, code string)

	mu        sync.Mutex
	streak    map[string]struct{} // keys that failed since the last decision, as long as it is closed
	ambiguous map[string]struct{} // keys with ambiguous answers, likewise
	open      bool
	since     time.Time // when it opened
	until     time.Time // the last one that failed is tried again
	nextProbe time.Time
}

const (
	// ProbeInterval is the time between two probes of an open breaker.
	ProbeInterval = time.Second
	// grace is how late a message may be tried that failed.
	grace = 5 * ProbeInterval
)

// NewBreaker makes a closed breaker that opens at a streak of so many keys, or of so many with ambiguous answers unless
// that is 0.
func NewBreaker(streak, ambiguous int) *Breaker {
	return &Breaker{
		streakLimit: streak, streak: map[string]struct{}{},
		ambiguousLimit: ambiguous, ambiguous: map[string]struct{}{},
		changed: func(bool, string) {},
	}
}

// Decided notes a decision, and reports whether it closed the breaker.
func (b *Breaker) Decided() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.close()
}

// close reports whether it was open.
func (b *Breaker) close() bool {
	clear(b.streak)
	clear(b.ambiguous)
	if !b.open {
		return false
	}
	b.open = false
	b.changed(false, "")
	return true
}

// Failed notes that a message failed for a cause that is not its own: what it came to, for people. It reports whether
// the breaker was open, and whether that opened it.
func (b *Breaker) Failed(key, code string, now time.Time) (was, opened bool) {
	return b.note(b.streak, b.streakLimit, key, code, now)
}

// Ambiguous notes an ambiguous answer, and reports like Failed.
func (b *Breaker) Ambiguous(key, code string, now time.Time) (was, opened bool) {
	return b.note(b.ambiguous, b.ambiguousLimit, key, code, now)
}

func (b *Breaker) note(
	streak map[string]struct{}, limit int, key, code string, now time.Time,
) (was, opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lapse(now)
	if b.open || limit == 0 {
		return b.open, false
	}
	streak[key] = struct{}{}
	if len(streak) < limit {
		return false, false
	}
	b.open, b.since = true, now
	b.nextProbe = now.Add(ProbeInterval)
	b.again(now)
	b.changed(true, code)
	return false, true
}

// Again notes when a message that failed is tried again.
func (b *Breaker) Again(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again(at)
}

func (b *Breaker) again(at time.Time) {
	if at.After(b.until) {
		b.until = at
	}
}

// lapse closes a breaker for which nothing is left that fails.
func (b *Breaker) lapse(now time.Time) {
	if b.open && now.Sub(b.until) > grace {
		b.close()
	}
}

// Open reports whether the destination is taken to be down.
func (b *Breaker) Open(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lapse(now)
	return b.open
}

// openSince returns since when it is open, the zero time when it is not.
func (b *Breaker) openSince(now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lapse(now); !b.open {
		return time.Time{}
	}
	return b.since
}

// shown is Open as a figure: 1 or 0.
func (b *Breaker) shown() float64 {
	if b.Open(time.Now()) {
		return 1
	}
	return 0
}

// Admit returns how many of limit messages may be sent now, and whether that is a probe; when none, how long to wait
// before asking again.
func (b *Breaker) Admit(limit int, now time.Time) (n int, probe bool, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lapse(now)
	if !b.open {
		return limit, false, 0
	}
	if wait := b.nextProbe.Sub(now); wait > 0 {
		return 0, false, wait
	}
	b.nextProbe = now.Add(ProbeInterval)
	return min(1, limit), true, 0
}
