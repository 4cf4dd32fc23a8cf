package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"hosho/internal/lab/collector"
	"hosho/internal/trace"
)

const callers = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// startTraced starts a paymentd with traces, which the environment asks for: such a test is parallel to none. Its spans
// are there when sent has been called.
func startTraced(t *testing.T) (s *system, sent func() []collector.Span) {
	t.Helper()
	c, err := collector.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.Endpoint())
	traces, err := trace.Open("paymentd", "host:1", slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	s = start(t, func(s *server) { s.traces = traces })
	return s, func() []collector.Span {
		s.stop()
		<-s.done
		traces.Close()
		return c.Spans()
	}
}

func TestWhatIsDecidedIsASpanOfItsCommandsTrace(t *testing.T) {
	s, sent := startTraced(t)
	k := s.open(t, t.Context())
	poor, other := newCharge(9996), newCharge(500)
	another := proto.CloneOf(other)
	another.Amount = yen(501)
	var ids []string
	for _, ask := range []struct {
		under   string
		command proto.Message
	}{
		{callers, other},
		{callers, other}, // once more
		{callers, poor},
		{callers, another},
		{callers, voidOf(other)},
		{callers[:53] + "00", newCharge(1)},
		{"garbage", newCharge(1)},
		{"", newCharge(1)},
	} {
		request := requestOf(ask.command)
		request.Commands[0].Traceparent = ask.under
		if err := k.Send(request); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, k.receive(1)[0].GetPaymentId())
	}
	spans := sent()
	of := collector.Trace(spans, callers[3:35])
	want := `
paymentd: decide CHARGE  code=OK  kind=CHARGE  repeat=false  status=CHARGED
paymentd: decide CHARGE  code=OK  kind=CHARGE  repeat=true  status=CHARGED
paymentd: decide CHARGE  code=OK  decline_reason=INSUFFICIENT_FUNDS  kind=CHARGE  repeat=false  status=DECLINED
paymentd: decide CHARGE  code=KEY_REUSED  kind=CHARGE
paymentd: decide VOID  code=OK  kind=VOID  repeat=false  status=REFUNDED
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), collector.Tree(of)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	for i, span := range of {
		if span.Parent != callers[36:52] || span.Attributes["hosho.order.id"] != ids[i] {
			t.Errorf("got %+v, want a child of the command's context, about %s", span, ids[i])
		}
	}
	statements := map[string]int{}
	for _, span := range spans {
		if strings.HasPrefix(span.Name, "statement") {
			statements[span.Name] += len(span.Links)
		}
		if strings.HasPrefix(span.Name, "decide") && span.TraceID != callers[3:35] {
			t.Errorf("got %+v, want no span of a command that is not traced", span)
		}
	}
	if diff := cmp.Diff(map[string]int{"statement CHARGE": 4, "statement VOID": 1}, statements); diff != "" {
		t.Errorf("links of statements (-want +got):\n%s", diff)
	}
}

func TestACallOfItsOwnIsDecidedInItsSpan(t *testing.T) {
	s, sent := startTraced(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), trace.Header, callers)
	charge := newCharge(500)
	if _, err := s.ChargePayment(ctx, charge); err != nil {
		t.Fatal(err)
	}
	if _, err := s.VoidPayment(ctx, voidOf(charge)); err != nil {
		t.Fatal(err)
	}
	want := `
paymentd: payment.v1.PaymentService/ChargePayment
   paymentd: decide CHARGE  code=OK  kind=CHARGE  repeat=false  status=CHARGED
paymentd: payment.v1.PaymentService/VoidPayment
   paymentd: decide VOID  code=OK  kind=VOID  repeat=false  status=REFUNDED
`
	tree := collector.Tree(collector.Trace(sent(), callers[3:35]))
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), tree); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

// What a charge is traced under is read as the library would read it.
func TestACommandsTraceIsReadByHand(t *testing.T) { // not parallel: it counts allocations
	m := requestOf(newCharge(500), voidOf(newCharge(1)))
	m.Commands[0].Traceparent, m.Commands[1].Traceparent = callers, callers
	got, err := fromBytes(marshal(t, m))
	if err != nil || got[0].traceparent != callers || got[1].traceparent != callers {
		t.Errorf("got %+v, %v; want both under %s", got, err, callers)
	}
	var charge chargeReader
	with, without := marshal(t, m.GetCommands()[0]), marshal(t, requestOf(newCharge(500)).GetCommands()[0])
	takes := func(command []byte) float64 {
		return testing.AllocsPerRun(10, func() { _, _ = charge.command(command) })
	}
	if got, want := takes(with), takes(without); got != want {
		t.Errorf("got %v allocations, want %v, as without: it is read by hand", got, want)
	}
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	text, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
