// Package collector takes the spans that daemons send, as a collector of OpenTelemetry would, and shows them.
//
// Its promise: it is on loopback, and what was taken is there, but for the spans of one that keeps nothing.
package collector

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Collector is a running one.
type Collector struct {
	collectorpb.UnimplementedTraceServiceServer

	address string
	server  *grpc.Server
	keeps   bool
	calls   atomic.Int64

	mu    sync.Mutex
	spans []Span
	news  chan struct{} // is closed when there are more
}

// Span is one that was taken. Ids are in hexadecimal digits.
type Span struct {
	Service    string // the resource's service.name
	Instance   string // the resource's service.instance.id
	Name       string
	TraceID    string
	ID, Parent string // Parent is empty for the first span of a trace
	Attributes map[string]string
	Error      string // its message, where the span says that it failed
	Failed     bool
	Links      []string // the ids of the traces that it leads to
	Start, End time.Time
}

// Start starts one that keeps what it takes.
func Start() (*Collector, error) { return start(true) }

// Discard starts one that keeps nothing.
func Discard() (*Collector, error) { return start(false) }

func start(keeps bool) (*Collector, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Collector{
		address: listener.Addr().String(), server: grpc.NewServer(), keeps: keeps, news: make(chan struct{}),
	}
	collectorpb.RegisterTraceServiceServer(c.server, c)
	go func() { _ = c.server.Serve(listener) }() // ends with Stop, and nobody is told why else
	return c, nil
}

// Stop stops it.
func (c *Collector) Stop() { c.server.Stop() }

// Endpoint is its address, as OTEL_EXPORTER_OTLP_ENDPOINT takes it.
func (c *Collector) Endpoint() string { return "http://" + c.address }

// Env is the variables of a daemon that sends it spans, all of them or a ratio.
func (c *Collector) Env(ratio float64) []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.Endpoint(),
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", fmt.Sprint("OTEL_TRACES_SAMPLER_ARG=", ratio),
	}
}

// Calls returns how often somebody has sent spans.
func (c *Collector) Calls() int { return int(c.calls.Load()) }

// Export is called by gRPC.
func (c *Collector) Export(
	_ context.Context, r *collectorpb.ExportTraceServiceRequest,
) (*collectorpb.ExportTraceServiceResponse, error) {
	c.calls.Add(1)
	if c.keeps {
		c.keep(r)
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func (c *Collector) keep(r *collectorpb.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range r.GetResourceSpans() {
		process := texts(of.GetResource().GetAttributes())
		for _, scope := range of.GetScopeSpans() {
			for _, sent := range scope.GetSpans() {
				span := spanOf(sent)
				span.Service, span.Instance = process["service.name"], process["service.instance.id"]
				c.spans = append(c.spans, span)
			}
		}
	}
	close(c.news)
	c.news = make(chan struct{})
}

func spanOf(sent *tracepb.Span) Span {
	span := Span{
		Name: sent.GetName(), TraceID: hex.EncodeToString(sent.GetTraceId()), ID: hex.EncodeToString(sent.GetSpanId()),
		Parent: hex.EncodeToString(sent.GetParentSpanId()), Attributes: texts(sent.GetAttributes()),
		Error: sent.GetStatus().GetMessage(), Failed: sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
		Start: time.Unix(0, int64(sent.GetStartTimeUnixNano())), End: time.Unix(0, int64(sent.GetEndTimeUnixNano())),
	}
	for _, link := range sent.GetLinks() {
		span.Links = append(span.Links, hex.EncodeToString(link.GetTraceId()))
	}
	return span
}

func texts(attributes []*commonpb.KeyValue) map[string]string {
	all := make(map[string]string, len(attributes))
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[a.GetKey()] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_BoolValue:
			all[a.GetKey()] = fmt.Sprint(v.BoolValue)
		}
	}
	return all
}

// Spans returns what was taken, by the time that it began.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.spans)
	slices.SortStableFunc(all, func(x, y Span) int { return x.Start.Compare(y.Start) })
	return all
}

// Await returns what was taken, once enough says that it is all that is waited for.
func (c *Collector) Await(ctx context.Context, enough func([]Span) bool) ([]Span, error) {
	for {
		c.mu.Lock()
		news := c.news
		c.mu.Unlock()
		all := c.Spans()
		if enough(all) {
			return all, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return all, fmt.Errorf("wait for spans: %w: got %d, and not those that are waited for", ctx.Err(), len(all))
		}
	}
}
