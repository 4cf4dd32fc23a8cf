package main

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/fuzz"
	"hosho/internal/slow"
)

func FuzzRequests(f *testing.F) { anyRequests(f).Bytes(f) }

func TestNoRequestIsTooStrange(t *testing.T) {
	slow.Test(t, "walks at random through requests")
	t.Parallel()
	anyRequests(t).Messages(t)
}

// anyRequests is an orderd that may be asked anything.
func anyRequests(t testing.TB) fuzz.Service {
	t.Helper()
	r := start(t)
	create := request()
	create.RequestId = proto.String("first")
	made, err := r.client.CreateOrder(t.Context(), create)
	if err != nil {
		t.Fatal(err)
	}
	return fuzz.Service{
		Conn:       r.conn,
		Descriptor: orderv1.File_order_v1_order_service_proto.Services().ByName("OrderService"),
		Codes: map[string][]codes.Code{
			"CreateOrder":  {codes.InvalidArgument, codes.AlreadyExists},
			"CreateOrders": {codes.InvalidArgument},
			"GetOrder":     {codes.InvalidArgument, codes.NotFound},
			"ListOrders":   {codes.InvalidArgument},
			"CancelOrder":  {codes.InvalidArgument, codes.NotFound},
			"WatchOrder":   {codes.InvalidArgument, codes.NotFound},
		},
		Seeds: []proto.Message{
			create,
			&orderv1.CreateOrderRequest{CustomerId: "alice", RequestId: proto.String("first"), CurrencyCode: "EUR"},
			&orderv1.CreateOrderRequest{CustomerId: "alice", Wait: durationpb.New(time.Millisecond)},
			&orderv1.CreateOrdersRequest{Orders: []*orderv1.SequencedOrder{
				{Sequence: 1, Order: create, TellSettled: true}, {Sequence: 1, Order: request()}, {},
			}},
			&orderv1.GetOrderRequest{OrderId: made.GetOrder().GetOrderId()},
			&orderv1.ListOrdersRequest{PageSize: 1, CustomerId: "alice", Status: orderv1.Order_STATUS_PENDING},
		},
	}
}
