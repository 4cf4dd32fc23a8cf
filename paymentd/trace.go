package main

import (
	"cmp"
	"context"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"hosho/internal/rpc"
	"hosho/internal/trace"
)

// traced has each answer to a command that is traced make a span before it is replied. It began when the command came.
func (s *server) traced(arrived time.Time, kind oteltrace.SpanKind, reply func([]answer)) func([]answer) {
	if s.traces == nil {
		return reply
	}
	return func(answers []answer) {
		for i := range answers {
			if a := &answers[i]; a.traceparent != "" {
				s.trace(a, oteltrace.WithTimestamp(arrived), oteltrace.WithSpanKind(kind))
			}
		}
		reply(answers)
	}
}

func (s *server) trace(a *answer, options ...oteltrace.SpanStartOption) {
	name := "decide CHARGE"
	if a.kind == kindVoid {
		name = "decide VOID"
	}
	span := s.traces.Join(a.traceparent, name, options...)
	if span == nil {
		return
	}
	defer span.End()
	span.SetAttributes(trace.OrderID.String(a.asked.ID), trace.Kind.String(kindName(a.kind)))
	if a.err != nil {
		answer := toStatus(a.err)
		trace.Answered(span, answer)
		span.SetAttributes(trace.Code.String(rpc.Reason(answer)))
		return
	}
	span.SetAttributes(trace.Status.String(string(a.payment.Status)), trace.Repeat.Bool(!a.fresh),
		trace.Code.String("OK"))
	if reason := a.payment.DeclineReason; reason != "" {
		span.SetAttributes(trace.Reason.String(string(reason)))
	}
}

// traceOf is the trace context of a call's own span, for what it asks for, or that which its caller sent; "" where it
// has none.
func (s *server) traceOf(ctx context.Context) string {
	return cmp.Or(trace.Traceparent(s.traces.Of(ctx)), trace.Sent(ctx))
}

// traceStatement makes the span of a statement that was about a command that is traced.
func (s *server) traceStatement(name string, began time.Time, commands []command, err error) {
	if s.traces == nil {
		return
	}
	span := s.traces.Batch(name, began, func(yield func(string) bool) {
		for i := range commands {
			if !yield(commands[i].traceparent) {
				return
			}
		}
	})
	if span == nil {
		return
	}
	defer span.End()
	span.SetAttributes(trace.Size.Int(len(commands)))
	if err != nil {
		trace.Failed(span, rpc.Brief(err.Error(), longestError))
	}
}
