// Package wait is how goroutines here wait: for a time to pass, or for somebody to wake them.
//
// Its promise: whoever waits stops waiting when its context ends, and whoever wakes another never waits itself.
package wait

import (
	"context"
	"time"
)

// For waits, and reports whether the time passed before ctx ended.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Bell wakes one goroutine, which receives from it. It holds one ring: what rings again before that is heard is the
// same ring.
type Bell chan struct{}

// NewBell makes a Bell that has not rung.
func NewBell() Bell { return make(Bell, 1) }

// Ring wakes whoever waits, or the next who does. It never blocks.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
