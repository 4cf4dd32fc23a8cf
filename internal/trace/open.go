package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"hosho/internal/version"
)

// Open makes the Tracer that the environment asks for: nil, unless OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT says where the spans go, or OTEL_TRACES_EXPORTER is otlp. It connects to nobody
// yet. The spans are those of a program, and of this process of it. What becomes of them is counted, on or off.
func Open(program, instance string, log *slog.Logger, registry prometheus.Registerer) (*Tracer, error) {
	counters := newCounters(registry)
	if on, err := wanted(); !on || err != nil {
		return nil, err
	}
	ctx := context.Background()
	sampler, err := newSampler(variable("OTEL_TRACES_SAMPLER"), variable("OTEL_TRACES_SAMPLER_ARG"))
	if err != nil {
		return nil, err
	}
	process, err := describe(ctx, program, instance)
	if err != nil {
		return nil, err
	}
	complaints := listen(log)
	client, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_...: %w", err)
	}
	processor := newProcessor(client, counters, log)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // it was sampled before
		sdktrace.WithIDGenerator(ids{}), sdktrace.WithResource(process), sdktrace.WithSpanProcessor(processor),
	)
	t := &Tracer{sampler: sampler, tracer: provider.Tracer("hosho"), provider: provider, log: log}
	if err := complaints.over(); err != nil {
		t.Close()
		return nil, fmt.Errorf("a variable that begins with OTEL_ is no good: %w", err)
	}
	return t, nil
}

// wanted reports whether anything is to be traced. What this program cannot do is an error.
func wanted() (bool, error) {
	if strings.EqualFold(variable("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	exporter := variable("OTEL_TRACES_EXPORTER")
	switch exporter {
	case "none":
		return false, nil
	case "":
		if either("ENDPOINT") == "" {
			return false, nil
		}
	case "otlp":
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER: got %q, want otlp or none", exporter)
	}
	if protocol := either("PROTOCOL"); protocol != "" && protocol != "grpc" {
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: got %q, want grpc: collectors take it at port 4317",
			protocol)
	}
	return true, nil
}

// either returns the value of a variable of the exporter: the one for traces, or the one for everything.
func either(name string) string {
	if value := variable("OTEL_EXPORTER_OTLP_TRACES_" + name); value != "" {
		return value
	}
	return variable("OTEL_EXPORTER_OTLP_" + name)
}

func variable(name string) string { return strings.TrimSpace(os.Getenv(name)) }

// describe says whose the spans are. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word.
func describe(ctx context.Context, program, instance string) (*resource.Resource, error) {
	process, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(program), semconv.ServiceVersion(version.String()),
			semconv.ServiceInstanceID(instance)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return process, nil
}

// complaints are what the SDK says of its variables. It would write them to stderr, and go on with a value of its own.
type complaints struct {
	slog.Handler

	heard *[]error // nil: it is set up, and its errors are the log's
}

// listen has the SDK complain here, and later to the log.
func listen(log *slog.Logger) complaints {
	c := complaints{log.Handler(), new([]error)}
	otel.SetLogger(logr.FromSlogHandler(c))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("tracing", "error", err) }))
	return c
}

// over ends the setting up, and returns what was complained of.
func (c complaints) over() error {
	otel.SetLogger(logr.FromSlogHandler(complaints{Handler: c.Handler}))
	return errors.Join(*c.heard...)
}

// Enabled is called by slog.
func (c complaints) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle is called by slog.
func (c complaints) Handle(ctx context.Context, r slog.Record) error {
	if c.heard == nil {
		return c.Handler.Handle(ctx, r)
	}
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	*c.heard = append(*c.heard, errors.New(text))
	return nil
}
