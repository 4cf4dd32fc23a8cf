package outbox

import (
	"math/rand/v2"
	"time"
)

// Backoff is the wait before a message is tried again: full jitter, so that messages which failed together do not come
// back together.
type Backoff struct {
	Base time.Duration // the bound of the first wait; it doubles with each try
	Cap  time.Duration // and never exceeds this
}

// Delay returns a random wait of at most min(Cap, Base x 2^(tries-1)). tries counts from 1.
func (b Backoff) Delay(tries int) time.Duration {
	bound := b.Base
	for n := 1; n < tries && bound < b.Cap; n++ {
		bound *= 2
	}
	return rand.N(min(bound, b.Cap) + 1)
}

// The retry budget: retries of calls that got no answer stay within a tenth of all calls, but for a floor, so that a
// peer that has just come back is not knocked over by everything that it missed.
const (
	retryShare = 0.1
	retryFloor = 10.0 // a second
	retryBurst = 1000.0
)

// budget hands out the times at which unanswered calls may be retried. It is not safe for concurrent use.
type budget struct {
	tokens float64 // below zero: what is promised to retries that wait
	since  time.Time
}

func newBudget(now time.Time) *budget { return &budget{tokens: retryFloor, since: now} }

// earn notes that calls were made.
func (b *budget) earn(now time.Time, calls int) {
	b.tokens = min(retryBurst, b.tokens+now.Sub(b.since).Seconds()*retryFloor+float64(calls)*retryShare)
	b.since = now
}

// reserve takes one retry and returns how long it must wait at most: calls made meanwhile only help the next.
func (b *budget) reserve(now time.Time) time.Duration {
	b.earn(now, 0)
	b.tokens--
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / retryFloor * float64(time.Second))
}
