package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/collector"
	"hosho/internal/trace"
)

const callers = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// startTraced is start with traces, which the environment asks for: such a test is parallel to none.
func startTraced(t *testing.T, ratio float64) (*running, *collector.Collector) {
	t.Helper()
	c, err := collector.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.Endpoint())
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", fmt.Sprint(ratio))
	return start(t), c
}

// contexts returns what stands in the outbox, by order.
func (r *running) contexts(t *testing.T) map[string]string {
	t.Helper()
	rows, err := r.db.Pool.Query(t.Context(), `SELECT key::text, coalesce(traceparent, '') FROM outbox`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for rows.Next() {
		var id, traceparent string
		if err := rows.Scan(&id, &traceparent); err != nil {
			t.Fatal(err)
		}
		all[id] = traceparent
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAnOrderGoesOnUnderItsOwnSpan(t *testing.T) {
	r, c := startTraced(t, 1)
	ctx := metadata.AppendToOutgoingContext(t.Context(), trace.Header, "garbage", trace.Header, callers)
	made, err := r.client.CreateOrder(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	alone := r.create(t)
	_, err = r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: "x"})
	wantError(t, err, codes.InvalidArgument, "INVALID_FIELDS", "order_id")
	stored := r.contexts(t)
	r.stop()
	spans := map[string]collector.Span{}
	for _, s := range c.Spans() {
		spans[s.Name+s.Attributes["hosho.order.id"]] = s
	}
	const method = "order.v1.OrderService/CreateOrder"
	for _, o := range []*orderv1.Order{made.GetOrder(), alone} {
		s := spans[method+o.GetOrderId()]
		if want := "00-" + s.TraceID + "-" + s.ID + "-01"; stored[o.GetOrderId()] != want {
			t.Errorf("got %q in the outbox, want the span's own, %q", stored[o.GetOrderId()], want)
		}
		if s.Attributes["rpc.response.status_code"] != "OK" || s.Attributes["hosho.status"] != "PENDING" || s.Failed {
			t.Errorf("got %+v, want a span of what went well", s)
		}
	}
	if s := spans[method+made.GetOrder().GetOrderId()]; s.TraceID != callers[3:35] || s.Parent != callers[36:52] {
		t.Errorf("got %+v, want a child of the caller's span", s)
	}
	s := spans["order.v1.OrderService/GetOrder"]
	if s.Attributes["rpc.response.status_code"] != "INVALID_ARGUMENT" || s.Failed {
		t.Errorf("got %+v, want a span of a call that its caller is to blame for", s)
	}
}

func TestAnOrderThatIsNotSampledGoesOnUnderWhatItsCallerSent(t *testing.T) {
	r, c := startTraced(t, 0)
	unsampled := callers[:53] + "00"
	want := map[string]string{}
	for _, sent := range []string{"", unsampled, "garbage"} {
		ctx := t.Context()
		if sent != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, trace.Header, sent)
		}
		made, err := r.client.CreateOrder(ctx, request())
		if err != nil {
			t.Fatal(err)
		}
		if want[made.GetOrder().GetOrderId()] = sent; sent == "garbage" {
			want[made.GetOrder().GetOrderId()] = ""
		}
	}
	if diff := cmp.Diff(want, r.contexts(t)); diff != "" {
		t.Errorf("outbox (-want +got):\n%s", diff)
	}
	r.stop()
	if c.Calls() > 0 {
		t.Errorf("got %v, want no spans", c.Spans())
	}
}

func TestEachOrderOfAStreamIsATraceOfItsOwn(t *testing.T) {
	r, c := startTraced(t, 1)
	stream, err := r.client.CreateOrders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bad := request()
	bad.CurrencyCode = "XXX"
	send := &orderv1.CreateOrdersRequest{Orders: []*orderv1.SequencedOrder{
		{Sequence: 1, Order: request()}, {Sequence: 2, Order: request()}, {Sequence: 3, Order: bad},
	}}
	if err := stream.Send(send); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for answered := 0; answered < 3; {
		reply, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		answered += len(reply.GetEvents())
	}
	stored := r.contexts(t)
	r.stop()
	var codes []string
	for _, s := range c.Spans() {
		if s.Name != "CreateOrder" {
			continue
		}
		id := s.Attributes["hosho.order.id"]
		if want := "00-" + s.TraceID + "-" + s.ID + "-01"; id != "" && stored[id] != want || s.Parent != "" {
			t.Errorf("order %s: got %q in the outbox, want its own span's, %q, the first of a trace",
				id, stored[id], want)
		}
		codes = append(codes, s.Attributes["rpc.response.status_code"])
	}
	slices.Sort(codes)
	if diff := cmp.Diff([]string{"", "", "INVALID_ARGUMENT"}, codes); diff != "" {
		t.Errorf("codes of spans (-want +got):\n%s", diff)
	}
}
