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

	mu        sync.Mutex
	streak    map[string]struct{} // keys that failed since the last decision, as long as it is closed
	ambiguous map[string]struct{} // keys with ambiguous answers, likewise
	open      bool
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
	}
}

// Decided notes a decision, and reports whether it closed the breaker.
func (b *Breaker) Decided() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.streak)
	clear(b.ambiguous)
	closed := b.open
	b.open = false
	return closed
}

// Failed notes that a message failed for a cause that is not its own. It reports whether the breaker was open, and
// whether that opened it.
func (b *Breaker) Failed(key string, now time.Time) (was, opened bool) {
	return b.note(b.streak, b.streakLimit, key, now)
}

// Ambiguous notes an ambiguous answer, and reports like Failed.
func (b *Breaker) Ambiguous(key string, now time.Time) (was, opened bool) {
	return b.note(b.ambiguous, b.ambiguousLimit, key, now)
}

func (b *Breaker) note(streak map[string]struct{}, limit int, key string, now time.Time) (was, opened bool) {
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
	b.open = true
	b.nextProbe = now.Add(ProbeInterval)
	b.again(now)
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
		clear(b.streak)
		clear(b.ambiguous)
		b.open = false
	}
}

// Open reports whether the destination is taken to be down.
func (b *Breaker) Open(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lapse(now)
	return b.open
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
