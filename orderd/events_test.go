package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
)

// An order is told when it is accepted, by a call or by a stream, and when its customer gives it up, with the status
// that it had. A repeat changes nothing, and is not told.
func TestOrdersThatAreAcceptedAndGivenUpAreTold(t *testing.T) {
	t.Parallel()
	r := start(t)
	client := orderv1.NewOrderServiceClient(r.conn)
	wanted, requestID := request(), "once"
	wanted.RequestId = &requestID
	var orders []*orderv1.Order
	for range 2 {
		reply, err := client.CreateOrder(t.Context(), wanted)
		if err != nil {
			t.Fatal(err)
		}
		orders = append(orders, reply.GetOrder())
	}
	paid := r.create(t)
	r.settle(t, paid.GetOrderId(), "PENDING", "COMPLETED")
	stream, err := client.CreateOrders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&orderv1.CreateOrdersRequest{
		Orders: []*orderv1.SequencedOrder{{Sequence: 1, Order: request()}},
	}); err != nil {
		t.Fatal(err)
	}
	events, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	streamed := events.GetEvents()[0].GetAcknowledged()
	pending := orders[0]
	for _, id := range []string{pending.GetOrderId(), paid.GetOrderId(), paid.GetOrderId()} {
		if _, err := client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
			t.Fatal(err)
		}
	}
	accepted := func(o *orderv1.Order) *eventv1.OrderChange {
		return &eventv1.OrderChange{
			OrderId: o.GetOrderId(), To: orderv1.Order_STATUS_PENDING, Cause: "accepted", Amount: o.GetTotal(),
		}
	}
	givenUp := func(o *orderv1.Order, from orderv1.Order_Status) *eventv1.OrderChange {
		return &eventv1.OrderChange{
			OrderId: o.GetOrderId(), From: from, To: orderv1.Order_STATUS_CANCELLING,
			CancelReason: orderv1.Order_CANCEL_REASON_CUSTOMER, Cause: "customer cancels", Amount: o.GetTotal(),
		}
	}
	want := []*eventv1.OrderChange{
		accepted(pending), accepted(paid), accepted(streamed),
		givenUp(pending, orderv1.Order_STATUS_PENDING), givenUp(paid, orderv1.Order_STATUS_COMPLETED),
	}
	var got []*eventv1.OrderChange
	watching, err := eventv1.NewEventServiceClient(r.conn).WatchEvents(t.Context(),
		&eventv1.WatchEventsRequest{Kept: true})
	for err == nil && len(got) < len(want) {
		var message *eventv1.WatchEventsResponse
		message, err = watching.Recv()
		for _, e := range message.GetEvents() {
			got = append(got, e.GetOrder())
		}
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}
