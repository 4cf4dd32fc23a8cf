package stack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"testing"

	"google.golang.org/grpc/metadata"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// The daemons log as they do by themselves, without a word of how much. Whatever is asked besides, an order that goes
// well has one line in each, with who asked for it, and its trace.
func TestAnOrderThatGoesWellHasOneLineADaemon(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes")
	s := start(t, bin, 1, func(c *stack.Config) { c.TLS = true })
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	created, err := s.client.CreateOrder(ctx, &orderv1.CreateOrderRequest{
		CustomerId: "test", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetOrder().GetOrderId()
	s.await(t, "the order is settled", allSettled)
	if _, err := s.client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id}); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil { // with all lines written
		t.Error(err)
	}
	for p, want := range map[*stack.Process]string{
		s.Orderd: "INFO order PENDING shop", s.Relays[0]: "INFO order COMPLETED .",
		s.Paymentd: "INFO payment CHARGED relay",
	} {
		var got []string
		for line := range bytes.Lines(read(t, p.LogFile)) {
			if !bytes.Contains(line, []byte(id)) {
				continue
			}
			var l struct {
				Level, Msg, Status, Identity string
				TraceID                      string `json:"trace_id"`
			}
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %s %s %s", l.Level, l.Msg, l.Status, path.Base(l.Identity)))
			if l.TraceID != trace {
				t.Errorf("%s: got %s, want the trace %s", p.Name, line, trace)
			}
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want one line: %s", p.Name, got, want)
		}
	}
}
