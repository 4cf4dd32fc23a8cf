package trace

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// counters tell what becomes of spans.
type counters struct{ sent, dropped prometheus.Counter }

func newCounters(registry prometheus.Registerer) counters {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_trace_spans_total",
		Help: "Spans by result: sent to the collector, or dropped since it is away or too slow.",
	}, []string{"result"})
	if registry != nil {
		registry.MustRegister(spans)
	}
	return counters{spans.WithLabelValues("sent"), spans.WithLabelValues("dropped")}
}

// processor has the SDK's own batch spans, and hands it no more than it has room for: what it drops it tells nobody.
type processor struct {
	sdktrace.SpanProcessor

	most     int64
	pending  atomic.Int64
	counters counters
}

func newProcessor(client sdktrace.SpanExporter, counters counters, log *slog.Logger) *processor {
	p := &processor{counters: counters}
	settings := func(o *sdktrace.BatchSpanProcessorOptions) { p.most = int64(o.MaxQueueSize) } // OTEL_BSP_... are read
	p.SpanProcessor = sdktrace.NewBatchSpanProcessor(&exporter{SpanExporter: client, processor: p, log: log}, settings)
	return p
}

// OnEnd is called by the SDK.
func (p *processor) OnEnd(span sdktrace.ReadOnlySpan) {
	if p.pending.Add(1) > p.most {
		p.pending.Add(-1)
		p.counters.dropped.Inc()
		return
	}
	p.SpanProcessor.OnEnd(span)
}

// exporter counts what the SDK's sends, and tells the log once a minute of what it cannot.
type exporter struct {
	sdktrace.SpanExporter

	processor *processor
	log       *slog.Logger

	mu     sync.Mutex
	quiet  time.Time // until when nothing is told
	untold int       // spans
}

// tellEvery is how often the log hears that spans are dropped.
const tellEvery = time.Minute

// ExportSpans is called by the SDK.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.processor.pending.Add(-int64(len(spans)))
	if err == nil {
		e.processor.counters.sent.Add(float64(len(spans)))
		return nil
	}
	e.processor.counters.dropped.Add(float64(len(spans)))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.untold += len(spans)
	if now := time.Now(); now.After(e.quiet) {
		e.log.Warn("spans are dropped: the collector does not take them", "spans", e.untold, "error", err)
		e.quiet, e.untold = now.Add(tellEvery), 0
	}
	return nil // it was told
}
