package trace_test

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	oteltrace "go.opentelemetry.io/otel/trace"

	"hosho/internal/lab/collector"
	"hosho/internal/trace"
)

const (
	sampled   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	traceID   = "4bf92f3577b34da6a3ce929d0e0e4736"
)

// open opens a Tracer with these variables, which are of the whole process: no such test is parallel to another.
func open(t *testing.T, variables ...string) (*trace.Tracer, *prometheus.Registry) {
	t.Helper()
	set(t, variables...)
	registry := prometheus.NewRegistry()
	tracer, err := trace.Open("orderd", "host:1", slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	return tracer, registry
}

func set(t *testing.T, variables ...string) {
	t.Helper()
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

func collect(t *testing.T) *collector.Collector {
	t.Helper()
	c, err := collector.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func TestNothingIsTracedUnlessSomebodyAsksForIt(t *testing.T) {
	const address = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317"
	for name, variables := range map[string][]string{
		"nothing":     nil,
		"a sampler":   {"OTEL_TRACES_SAMPLER=always_on"},
		"none":        {address, "OTEL_TRACES_EXPORTER=none"},
		"is disabled": {address, "OTEL_SDK_DISABLED=TRUE", "OTEL_TRACES_EXPORTER=zipkin"},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, _ := open(t, variables...)
			if tracer != nil {
				t.Fatal("got a tracer, want none")
			}
			if tracer.Options(nil) != nil || tracer.Begin(sampled, "x", 0) != nil || tracer.Join(sampled, "x") != nil ||
				tracer.Of(t.Context()) != nil {
				t.Error("no tracer makes something")
			}
			tracer.Close()
		})
	}
}

func TestWhatCannotBeDoneIsRefusedAtTheStart(t *testing.T) {
	for variable, want := range map[string]string{
		"OTEL_TRACES_EXPORTER=zipkin":                   "otlp or none",
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf":     "want grpc",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json":  "want grpc",
		"OTEL_TRACES_SAMPLER=sometimes":                 "parentbased_",
		"OTEL_TRACES_SAMPLER=parentbased_":              "parentbased_",
		"OTEL_RESOURCE_ATTRIBUTES=what":                 "OTEL_RESOURCE_ATTRIBUTES",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=://nowhere": "OTEL_",
		"OTEL_EXPORTER_OTLP_TIMEOUT=soon":               "OTEL_",
		"OTEL_EXPORTER_OTLP_CERTIFICATE=/no/such/file":  "OTEL_",
		"OTEL_EXPORTER_OTLP_HEADERS=no header":          "OTEL_",
	} {
		t.Run(variable, func(t *testing.T) {
			set(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", variable)
			_, err := trace.Open("orderd", "host:1", slog.New(slog.DiscardHandler), nil)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error that says %q", err, want)
			}
		})
	}
	for _, ratio := range []string{"2", "-1", "NaN", "few"} {
		set(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG="+ratio)
		if _, err := trace.Open("orderd", "host:1", slog.New(slog.DiscardHandler), nil); err == nil {
			t.Errorf("ratio %s: got no error", ratio)
		}
	}
}

func TestOnlyATraceparentIsOne(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		sampled: true, unsampled: true, strings.TrimSuffix(sampled, "1") + "3": true,
		"": false, "00-no-trace-01": false, strings.ToUpper(sampled): false, sampled + "-00": false,
		strings.Replace(sampled, "00-", "ff-", 1):                false,
		strings.TrimSuffix(sampled, "01") + "0g":                 false,
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01": false,
		"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01":  false,
		"00-" + traceID + "_00f067aa0ba902b7-01":                 false,
	} {
		if _, got := trace.Parse(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestTheSamplerIsTheOneThatIsNamed(t *testing.T) {
	type sampling struct{ begins, joins, joinsUnsampled bool }
	for name, want := range map[string]sampling{
		"":                         {true, true, false},
		"always_on":                {true, true, true},
		"always_off":               {false, false, false},
		"parentbased_always_on":    {true, true, false},
		"parentbased_always_off":   {false, true, false},
		"parentbased_traceidratio": {true, true, false},
		"traceidratio":             {true, true, true},
	} {
		tracer, _ := open(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER="+name)
		got := sampling{
			tracer.Begin("", "x", oteltrace.SpanKindServer) != nil, tracer.Join(sampled, "x") != nil,
			tracer.Join(unsampled, "x") != nil,
		}
		if got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestARatioOfTheTracesIsSampled(t *testing.T) {
	tracer, _ := open(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=parentbased_traceidratio",
		"OTEL_TRACES_SAMPLER_ARG=0.25")
	const tries = 4000
	got := 0
	for range tries {
		if tracer.Begin("", "x", oteltrace.SpanKindServer) != nil {
			got++
		}
	}
	if got < tries/5 || got > tries*3/10 {
		t.Errorf("got %d of %d, want about a quarter", got, tries)
	}
}

func TestWhatIsNotSampledTakesNoMemory(t *testing.T) {
	tracer, _ := open(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=parentbased_always_off")
	all := slices.Repeat([]string{unsampled, ""}, 100)
	took := testing.AllocsPerRun(100, func() {
		if tracer.Begin("", "x", oteltrace.SpanKindServer) != nil || tracer.Begin(unsampled, "x", 0) != nil ||
			tracer.Join(unsampled, "x") != nil {
			t.Error("got a span, want none")
		}
		for _, traceparent := range all {
			tracer.Join(traceparent, "x")
		}
	})
	if took > 0 {
		t.Errorf("got %v allocations, want none", took)
	}
}

func TestASpanIsOneOfItsCallersTrace(t *testing.T) {
	c := collect(t)
	tracer, registry := open(t, append(c.Env(1), "OTEL_RESOURCE_ATTRIBUTES=deployment.environment=test")...)
	first := tracer.Begin("", "first", oteltrace.SpanKindServer)
	second := tracer.Join(trace.Traceparent(first), "second")
	second.SetAttributes(trace.OrderID.String("1"))
	trace.Failed(second, "it broke")
	second.End()
	first.End()
	tracer.Close()
	spans := c.Spans()
	if len(spans) != 2 {
		t.Fatalf("got %v, want two spans", spans)
	}
	want := "orderd: first\n   orderd: second  ERROR\n"
	if diff := cmp.Diff(want, collector.Tree(spans)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if spans[0].TraceID != first.SpanContext().TraceID().String() || spans[0].Instance != "host:1" {
		t.Errorf("got %+v, want the id that its traceparent tells, and the instance", spans[0])
	}
	wantCounted(t, registry, 2, 0)
}

func wantCounted(t *testing.T, registry *prometheus.Registry, sent, dropped int) {
	t.Helper()
	want := fmt.Sprintf(`
# HELP hosho_trace_spans_total Spans by result: sent to the collector, or dropped since it is away or too slow.
# TYPE hosho_trace_spans_total counter
hosho_trace_spans_total{result="dropped"} %d
hosho_trace_spans_total{result="sent"} %d
`, dropped, sent)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestABatchLeadsToFewOfItsTracesAtMost(t *testing.T) {
	c := collect(t)
	tracer, _ := open(t, c.Env(0)...)
	if tracer.Batch("none", time.Now(), slices.Values([]string{"", unsampled, "x"})) != nil {
		t.Error("got a span for a batch in which nothing is sampled")
	}
	many := slices.Concat([]string{unsampled, ""}, slices.Repeat([]string{sampled}, 3*trace.MaxLinks))
	tracer.Batch("many", time.Now(), slices.Values(many)).End()
	tracer.Batch("few", time.Now(), slices.Values([]string{"", sampled, unsampled})).End()
	tracer.Close()
	got := map[string]int{}
	for _, s := range c.Spans() {
		got[s.Name] = len(s.Links)
		if s.Parent != "" || s.TraceID == traceID || s.Links[0] != traceID {
			t.Errorf("got %+v, want a trace of its own that leads to the others", s)
		}
	}
	if diff := cmp.Diff(map[string]int{"many": trace.MaxLinks, "few": 1}, got); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

// The variables would have the SDK try for an hour.
func TestACollectorThatDoesNotAnswerHoldsUpNobody(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	tracer, registry := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+mute.Addr().String(),
		"OTEL_EXPORTER_OTLP_TIMEOUT=3600000", "OTEL_BSP_EXPORT_TIMEOUT=3600000", "OTEL_BSP_MAX_QUEUE_SIZE=100",
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10")
	const spans = 5000
	for range spans {
		tracer.Begin("", "x", oteltrace.SpanKindServer).End()
	}
	wantCounted(t, registry, 0, spans-100)
	tracer.Close()
}

func TestACollectorThatIsAwayCostsSpansAndALineAMinute(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	set(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+gone.Addr().String(), "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1",
		"OTEL_EXPORTER_OTLP_TIMEOUT=1")
	lines := make(lineWriter, 1000)
	registry := prometheus.NewRegistry()
	tracer, err := trace.Open("orderd", "host:1", slog.New(slog.NewTextHandler(lines, nil)), registry)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		tracer.Begin("", "x", oteltrace.SpanKindServer).End()
	}
	tracer.Close()
	wantCounted(t, registry, 0, 3)
	if got := len(lines); got != 1 {
		t.Fatalf("got %d lines, want 1", got)
	}
	if line := <-lines; !strings.Contains(line, "spans are dropped") {
		t.Errorf("got %s", line)
	}
}

type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}
