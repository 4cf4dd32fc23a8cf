package main

import (
	"context"

	oteltrace "go.opentelemetry.io/otel/trace"

	"hosho/internal/order"
	"hosho/internal/trace"
)

// traceOf returns the W3C trace context that what a call writes goes on under: its own span's, where it has one, or
// else what its client sent. It goes into the outbox, so that all deliveries join the trace, whoever makes them.
func (s *server) traceOf(ctx context.Context) string {
	if span := s.traces.Of(ctx); span != nil {
		return trace.Traceparent(span)
	}
	return trace.Sent(ctx)
}

// traced notes in a call's span which order it is about, and what became of that.
func (s *server) traced(ctx context.Context, o order.Order, repeat bool) {
	if span := s.traces.Of(ctx); span != nil {
		describe(span, o, repeat)
	}
}

func describe(span oteltrace.Span, o order.Order, repeat bool) {
	span.SetAttributes(trace.OrderID.String(o.ID), trace.Status.String(string(o.Status)),
		trace.Repeat.Bool(repeat))
}

// beginSpan starts the span of an order of a stream, if it is sampled. The order goes on under its context.
func (i *sequenced) beginSpan() {
	i.traceparent = i.conversation.traceparent
	if i.span = i.traces.Begin(i.traceparent, "CreateOrder", oteltrace.SpanKindServer); i.span != nil {
		i.traceparent = trace.Traceparent(i.span)
	}
}

// endSpan ends it when the order is placed, or was before.
func (i *sequenced) endSpan(o order.Order, repeat bool) {
	if i.span != nil {
		describe(i.span, o, repeat)
		i.span.End()
	}
}

// endSpanRefused ends it when the order is not placed.
func (i *sequenced) endSpanRefused(err error) {
	if i.span != nil {
		trace.Answered(i.span, toStatus(err))
		i.span.End()
	}
}
