package main

import (
	"context"
	"time"

	"hosho/internal/outbox"
	"hosho/relay/internal/dispatch"
)

// way is the way to who decides on payments, and back: calls to paymentd, or a broker.
type way interface {
	// Deliver is the handler's (outbox.Handler).
	Deliver(ctx context.Context, messages []outbox.Message, report func(outbox.Report))
	// Method returns what carried a delivery, "" when nothing was sent.
	Method(r outbox.Report) string
	// Ended ends the span of a delivery.
	Ended(r outbox.Report)
	// Run hears who is at the other end, and what he says by himself, until ctx ends. ready says why the orders
	// database cannot be worked with.
	Run(ctx context.Context, ready func(context.Context) error)
	// AskAnew finds out which payments database is there, whatever is known of it.
	AskAnew(ctx context.Context) error
	// Condition is how the way is at present.
	Condition() condition
	// Close ends what is on its way.
	Close()
}

// condition is how a way is at present.
type condition struct {
	transport string // as the flag names it

	// Over a broker:
	prefix   string        // of the topics
	away     error         // why there is no connection
	heard    time.Time     // when the last payment event came, or the relay started
	patience time.Duration // how long none may come
}

// silence returns for how long no payment event has come, while commands wait for one that are as old as it says; 0
// when that is within patience.
func (c condition) silence(age time.Duration) time.Duration {
	if c.heard.IsZero() {
		return 0
	}
	silence := min(time.Since(c.heard), age)
	if silence < c.patience {
		return 0
	}
	return silence
}

// overGRPC is the way by calls.
type overGRPC struct{ *dispatch.Dispatcher }

// Run asks paymentd who it is; see way.
func (g overGRPC) Run(ctx context.Context, _ func(context.Context) error) { g.KeepAsking(ctx) }

// Condition is the way's.
func (g overGRPC) Condition() condition { return condition{transport: overCalls} }
