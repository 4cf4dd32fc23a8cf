package trace_test

import (
	"log/slog"
	"strings"
	"testing"

	oteltrace "go.opentelemetry.io/otel/trace"

	"hosho/internal/lab/collector"
	"hosho/internal/trace"
)

// What tracing costs a call: off, not sampled, and sampled, with its sending.
func BenchmarkSpan(b *testing.B) {
	c, err := collector.Discard()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Stop()
	for _, variable := range c.Env(0.01) {
		name, value, _ := strings.Cut(variable, "=")
		b.Setenv(name, value)
	}
	one, err := trace.Open("orderd", "host:1", slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer one.Close()
	for name, of := range map[string]struct {
		tracer *trace.Tracer
		sent   string
	}{
		"off":              {nil, sampled},
		"one of a hundred": {one, ""},
		"not sampled":      {one, unsampled},
		"sampled":          {one, sampled},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if span := of.tracer.Begin(of.sent, "x", oteltrace.SpanKindServer); span != nil {
					span.SetAttributes(trace.OrderID.String("1"), trace.Kind.String("CHARGE"))
					_ = trace.Traceparent(span)
					span.End()
				}
			}
		})
	}
}
