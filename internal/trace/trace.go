// Package trace has one order be one trace, over three processes, retries and restarts.
//
// Its promise: who traces nothing pays nothing, and connects to nobody. Of what is not sampled no span is made, and no
// context. A collector that is slow or away costs spans, which are counted, and neither a call's time nor a process's
// end. Everything is set by OpenTelemetry's own variables, and what of them cannot be done is refused at the start.
package trace

import (
	"context"
	"iter"
	"log/slog"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// MaxLinks is to how many traces the span of a batch leads.
const MaxLinks = 128

// Tracer makes the spans of a process. The nil Tracer, which traces nothing, makes none.
type Tracer struct {
	sampler  sampler
	tracer   oteltrace.Tracer
	provider *sdktrace.TracerProvider
	log      *slog.Logger
}

// Begin starts a span for what somebody asked for: one of the trace that the traceparent tells of, or else the first
// one of a new trace. It is nil where it is not sampled.
func (t *Tracer) Begin(traceparent, name string, kind oteltrace.SpanKind) oteltrace.Span {
	if t == nil {
		return nil
	}
	if parent, told := Parse(traceparent); told {
		if !t.sampler.joins(parent) {
			return nil
		}
		return t.child(parent, name, oteltrace.WithSpanKind(kind))
	}
	id := newTraceID()
	if !t.sampler.begins(id) {
		return nil
	}
	_, span := t.tracer.Start(withTraceID(id), name, oteltrace.WithSpanKind(kind))
	return span
}

// Join starts a span of the trace that a traceparent tells of. It is nil where there is none, or it is not sampled:
// whether an order is traced was decided when it came.
func (t *Tracer) Join(traceparent, name string, options ...oteltrace.SpanStartOption) oteltrace.Span {
	if t == nil || traceparent == "" {
		return nil
	}
	parent, told := Parse(traceparent)
	if !told || !t.sampler.joins(parent) {
		return nil
	}
	return t.child(parent, name, options...)
}

// Joins reports whether Join makes a span of what came with a trace context; nil is none.
func (t *Tracer) Joins(traceparent *string) bool {
	if t == nil || traceparent == nil {
		return false
	}
	parent, told := Parse(*traceparent)
	return told && t.sampler.joins(parent)
}

func (t *Tracer) child(parent oteltrace.SpanContext, name string, options ...oteltrace.SpanStartOption) oteltrace.Span {
	ctx := oteltrace.ContextWithRemoteSpanContext(context.Background(), parent)
	_, span := t.tracer.Start(ctx, name, options...)
	return span
}

// Batch starts the span, in a trace of its own, of something that is done for many at once, and began at that time. It
// leads to those of their traces that are sampled, MaxLinks at most, and is nil where none is.
func (t *Tracer) Batch(name string, began time.Time, traceparents iter.Seq[string]) oteltrace.Span {
	if t == nil {
		return nil
	}
	var links []oteltrace.Link
	for traceparent := range traceparents {
		if traceparent == "" {
			continue
		}
		if parent, told := Parse(traceparent); told && t.sampler.joins(parent) {
			links = append(links, oteltrace.Link{SpanContext: parent})
		}
		if len(links) == MaxLinks {
			break
		}
	}
	if len(links) == 0 {
		return nil
	}
	_, span := t.tracer.Start(context.Background(), name,
		oteltrace.WithTimestamp(began), oteltrace.WithLinks(links...))
	return span
}

// Of returns the span of a call, nil where it has none.
func (t *Tracer) Of(ctx context.Context) oteltrace.Span {
	if t == nil {
		return nil
	}
	if span := oteltrace.SpanFromContext(ctx); span.IsRecording() {
		return span
	}
	return nil
}

// closeTimeout is how long the end of a process waits for a collector.
const closeTimeout = time.Second

// Close sends what was not sent yet, if somebody takes it within a second.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last spans were not sent", "error", err)
	}
}
