package outbox

import (
	"errors"
	"fmt"
	"time"
)

// Config says how a worker goes about it. Every field is needed but those that say so.
type Config struct {
	CallTimeout   time.Duration // within which Deliver reports
	SettleTimeout time.Duration // bounds one call of Settle, and any other use of the database
	Lease         time.Duration // how long a claim lasts; longer than the two together, or work is done twice
	Batch         int           // messages claimed at once, and settled at once
	PollInterval  time.Duration // how often to look when nothing woke the worker
	BreakerStreak int           // keys that fail in a row before the breaker opens
	// AmbiguousStreak is keys in a row with ambiguous answers before it opens for these, too; 0: it never does.
	AmbiguousStreak int
	Backoff         func(kind string) Backoff
	LongestDelay    time.Duration // no message waits longer than this for its next try
	// Resend returns how long a message that was handed over waits for its outcome before it is handed over again;
	// sends counts from 1. nil: none is handed over.
	Resend func(sends int) time.Duration
	// LongestResend is the longest that Resend returns, here or in another process that works on the same outbox; 0:
	// none is handed over anywhere.
	LongestResend time.Duration
	// Quiet reports whether outcomes of messages that were handed over have ceased to come. As long as they have, what
	// was handed over before is again one a second; nil: they never have.
	Quiet func() bool
	// Poll returns how often to look at present, as wake-ups that are lost may have it; nil: each PollInterval.
	Poll func(usual time.Duration) time.Duration
	// Wakes says that somebody wakes the workers, unless Poll says that it is lost. While there is nothing in the
	// outbox they then look ten times less often.
	Wakes bool
	// Metrics count what the workers do; nil: nobody does.
	Metrics *Metrics
	// Claimed is told of messages that were claimed, or read where they were written with a claim, before they are
	// checked, and when that began; nil: nobody is.
	Claimed func(messages []Message, began time.Time)
	// Breaker is told each time that the breaker of a kind opens, for what the last of the failures came to, or closes.
	// It must not block, and not ask for the breaker; nil: nobody is told.
	Breaker func(kind string, open bool, code string)
}

// claimed tells of messages that were claimed.
func (c Config) claimed(messages []Message, began time.Time) {
	if c.Claimed != nil {
		c.Claimed(messages, began)
	}
}

// poll returns how often to look at present.
func (c Config) poll() time.Duration {
	if c.Poll == nil {
		return c.PollInterval
	}
	return c.Poll(c.PollInterval)
}

// woken reports whether wake-ups are heard at present.
func (c Config) woken() bool {
	const usual = time.Hour
	return c.Wakes && (c.Poll == nil || c.Poll(usual) == usual)
}

// longestWait is how far ahead the time may lie from which a message may be claimed.
func (c Config) longestWait() time.Duration { return c.LongestDelay + c.Lease }

// longestResent is longestWait for a message that was handed over.
func (c Config) longestResent() time.Duration { return max(c.LongestDelay, c.LongestResend) + c.Lease }

// Validate checks that the parts fit together. unsafeShortLease allows a lease that may end before its message is
// settled: that costs work and no correctness, and exists to prove just that.
func (c Config) Validate(unsafeShortLease bool) error {
	for name, d := range map[string]time.Duration{
		"call timeout": c.CallTimeout, "settle timeout": c.SettleTimeout, "lease": c.Lease,
		"poll interval": c.PollInterval, "longest delay": c.LongestDelay,
	} {
		if d <= 0 {
			return fmt.Errorf("%s: got %v, want more than 0", name, d)
		}
	}
	if c.Batch < 1 || c.Batch > MaxBatch {
		return fmt.Errorf("batch: got %d, want 1 to %d", c.Batch, MaxBatch)
	}
	if c.BreakerStreak < 1 {
		return fmt.Errorf("breaker streak: got %d, want at least 1", c.BreakerStreak)
	}
	if c.AmbiguousStreak < 0 {
		return fmt.Errorf("breaker's ambiguous streak: got %d, want 0 or more", c.AmbiguousStreak)
	}
	if c.Backoff == nil {
		return errors.New("backoff: got none")
	}
	if c.Lease <= c.CallTimeout+c.SettleTimeout && !unsafeShortLease {
		return fmt.Errorf("lease: got %v, want more than call timeout + settle timeout = %v, "+
			"or messages are delivered twice as a rule", c.Lease, c.CallTimeout+c.SettleTimeout)
	}
	return nil
}

// MaxBatch is the most messages that a worker claims at once.
const MaxBatch = 1000

// inFlightBatches bounds what a worker holds, so that a few batches of messages that hang do not stop the others.
const inFlightBatches = 4
