package main

import (
	"iter"
	"slices"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/trace"
	"hosho/relay/internal/dispatch"
)

// traceClaimed makes the span of a claim in which there is an order that is traced.
func traceClaimed(traces *trace.Tracer, messages []outbox.Message, began time.Time) {
	span := traces.Batch("claim", began, traceparents(messages, func(m outbox.Message) outbox.Message { return m }))
	if span == nil {
		return
	}
	span.SetAttributes(trace.Kind.String(messages[0].Kind), trace.Size.Int(len(messages)))
	span.End()
}

// traceSettled makes the span of a settling in which there is an order that is traced, and one for each such order, in
// its own trace, that was settled.
func (h *handler) traceSettled(began time.Time, reports []outbox.Report, done orderdb.Settlement, err error) {
	if h.traces == nil {
		return
	}
	message := func(r outbox.Report) outbox.Message { return r.Message }
	batch := h.traces.Batch("settle", began, traceparents(reports, message))
	if batch == nil {
		return
	}
	defer batch.End()
	batch.SetAttributes(trace.Size.Int(len(reports)))
	if err != nil {
		trace.Failed(batch, err.Error())
		return
	}
	statuses := map[string]string{}
	for _, c := range done.Changes {
		statuses[c.OrderID] = string(c.To)
	}
	link := oteltrace.WithLinks(oteltrace.Link{SpanContext: batch.SpanContext()})
	for i, r := range reports {
		if r.Message.Traceparent == nil || slices.Contains(done.Later, i) {
			continue
		}
		span := h.traces.Join(*r.Message.Traceparent, "settle", oteltrace.WithTimestamp(began), link)
		if span == nil {
			continue
		}
		span.SetAttributes(trace.OrderID.String(r.Message.Key), trace.Kind.String(r.Message.Kind))
		if status, changed := statuses[r.Message.Key]; changed {
			span.SetAttributes(trace.Status.String(status))
		}
		dispatch.Outcome(span, r)
		span.End()
	}
}

// traceparents are those of messages, or of what has some; "" where there is none.
func traceparents[T any](all []T, message func(T) outbox.Message) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range all {
			traceparent := message(all[i]).Traceparent
			if traceparent != nil && !yield(*traceparent) {
				return
			}
		}
	}
}
