package main

import (
	"context"

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
	// Close ends what is on its way.
	Close()
}

// overGRPC is the way by calls.
type overGRPC struct{ *dispatch.Dispatcher }

// Run asks paymentd who it is; see way.
func (g overGRPC) Run(ctx context.Context, _ func(context.Context) error) { g.KeepAsking(ctx) }
