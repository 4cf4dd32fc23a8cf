package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "hosho/gen/order/v1"
)

// What is read by hand is what was sent, and what else is in a message is passed over.
func TestEventsAreReadAsTheyWereSent(t *testing.T) {
	t.Parallel()
	settled := &orderv1.OrderSettled{
		OrderId: "o-1", Status: orderv1.Order_STATUS_COMPLETED, UpdateTime: timestamppb.Now(),
	}
	cancelled := &orderv1.OrderSettled{
		OrderId: "o-2", Status: orderv1.Order_STATUS_CANCELLED, CancelReason: orderv1.Order_CANCEL_REASON_OPERATOR,
	}
	refused := &orderv1.OrderError{Code: 14, Reason: "OVERLOADED"}
	order := &orderv1.Order{OrderId: "o-1", Items: []*orderv1.Item{{Name: "tea"}}}
	message, err := proto.Marshal(&orderv1.CreateOrdersResponse{Events: []*orderv1.OrderEvent{
		{Sequence: 1, Outcome: &orderv1.OrderEvent_Acknowledged{Acknowledged: order}},
		{Sequence: 1, Outcome: &orderv1.OrderEvent_Settled{Settled: settled}},
		{Sequence: 2, Outcome: &orderv1.OrderEvent_Settled{Settled: cancelled}},
		{Sequence: 1 << 40, Outcome: &orderv1.OrderEvent_Refused{Refused: refused}},
		{},
	}})
	if err != nil {
		t.Fatal(err)
	}
	message = append(message, 0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8) // field 31, a fixed64
	got, err := eventsIn(nil, message)
	if err != nil {
		t.Fatal(err)
	}
	want := []event{
		{sequence: 1, acknowledged: true},
		{sequence: 1, completed: true},
		{sequence: 2, settled: cancelled},
		{sequence: 1 << 40, refused: refused},
		{},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(event{}), protocmp.Transform()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for n := 1; n < len(message)-10; n++ { // a message that breaks off is none, unless it does between two events
		if events, err := eventsIn(nil, message[:n]); err == nil && len(events) == len(want) {
			t.Errorf("of %d bytes: got %d events, want an error", n, len(events))
		}
	}
}
