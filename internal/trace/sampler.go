package trace

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// sampler decides what is traced. It is one of those that OTEL_TRACES_SAMPLER names, and is asked before there is a
// span: the SDK's own would have one made, and a context, to be told no.
type sampler struct {
	roots   sdktrace.Sampler
	parents bool // who sent a trace context decides
}

// begins decides on a new trace.
func (s sampler) begins(id oteltrace.TraceID) bool {
	asked := sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: id}
	return s.roots.ShouldSample(asked).Decision == sdktrace.RecordAndSample
}

// joins decides on a span of a trace that somebody else began.
func (s sampler) joins(parent oteltrace.SpanContext) bool {
	if s.parents {
		return parent.IsSampled()
	}
	return s.begins(parent.TraceID())
}

// newSampler reads OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG. Without them everything is sampled that its caller
// does not have left out, as the specification says.
func newSampler(name, argument string) (sampler, error) {
	kind, parents := strings.CutPrefix(name, "parentbased_")
	switch kind {
	case "":
		if !parents {
			return sampler{sdktrace.AlwaysSample(), true}, nil
		}
	case "always_on":
		return sampler{sdktrace.AlwaysSample(), parents}, nil
	case "always_off":
		return sampler{sdktrace.NeverSample(), parents}, nil
	case "traceidratio":
		if argument == "" {
			argument = "1"
		}
		ratio, err := strconv.ParseFloat(argument, 64)
		if err != nil || !(0 <= ratio && ratio <= 1) {
			return sampler{}, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: got %q, want a number from 0 to 1, such as 0.01",
				argument)
		}
		return sampler{sdktrace.TraceIDRatioBased(ratio), parents}, nil
	}
	return sampler{}, fmt.Errorf("OTEL_TRACES_SAMPLER: got %q, want always_on, always_off or traceidratio, or "+
		"parentbased_ before one of them", name)
}
