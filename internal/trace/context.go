package trace

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// Header is where W3C's trace context has its place in the metadata of a call.
const Header = "traceparent"

// Sent returns the trace context that the caller sent along, "" where there is none that can be read.
func Sent(ctx context.Context) string {
	for _, sent := range metadata.ValueFromIncomingContext(ctx, Header) {
		if _, told := Parse(sent); told {
			return sent
		}
	}
	return ""
}

// Send has a call carry a trace context, if there is one.
func Send(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, Header, traceparent)
}

// The places of what is in a traceparent, "00-<32 digits>-<16 digits>-<2 digits>".
const (
	traceAt, spanAt, flagsAt, whole = 3, 36, 53, 55
)

// Parse reads a W3C traceparent, and reports false for what is none.
func Parse(traceparent string) (oteltrace.SpanContext, bool) {
	s := traceparent
	if len(s) != whole || s[:traceAt] != "00-" || s[spanAt-1] != '-' || s[flagsAt-1] != '-' {
		return oteltrace.SpanContext{}, false
	}
	traceID, err := oteltrace.TraceIDFromHex(s[traceAt : spanAt-1])
	spanID, err2 := oteltrace.SpanIDFromHex(s[spanAt : flagsAt-1])
	high, low := digit(s[flagsAt]), digit(s[flagsAt+1])
	if err != nil || err2 != nil || high < 0 || low < 0 {
		return oteltrace.SpanContext{}, false
	}
	return oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: oteltrace.TraceFlags(high<<4 | low), Remote: true,
	}), true
}

// digit is a hexadecimal one, in lower case; -1: it is none.
func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// Traceparent returns a span's own context, for what follows from it; "" for no span.
func Traceparent(span oteltrace.Span) string {
	if span == nil {
		return ""
	}
	sc := span.SpanContext()
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}

// ids makes the ids of spans. A trace's own is there before its first span is: by it was decided that there is one.
type ids struct{}

type traceIDKey struct{}

func withTraceID(id oteltrace.TraceID) context.Context {
	return context.WithValue(context.Background(), traceIDKey{}, id)
}

// NewIDs is called by the SDK.
func (ids) NewIDs(ctx context.Context) (oteltrace.TraceID, oteltrace.SpanID) {
	id, ok := ctx.Value(traceIDKey{}).(oteltrace.TraceID)
	if !ok {
		id = newTraceID()
	}
	return id, newSpanID()
}

// NewSpanID is called by the SDK.
func (ids) NewSpanID(context.Context, oteltrace.TraceID) oteltrace.SpanID { return newSpanID() }

func newTraceID() (id oteltrace.TraceID) {
	binary.BigEndian.PutUint64(id[:8], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], notZero())
	return id
}

func newSpanID() (id oteltrace.SpanID) {
	binary.BigEndian.PutUint64(id[:], notZero())
	return id
}

// notZero is random. Zeros mean that there is no id.
func notZero() uint64 {
	for {
		if n := rand.Uint64(); n != 0 {
			return n
		}
	}
}
