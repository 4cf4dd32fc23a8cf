package main

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
)

// What is encoded by hand is what the messages are, whatever their sizes, one after the other as well.
func TestEventsAreEncodedAsTheirMessages(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var got wire
	want := &orderv1.CreateOrdersResponse{}
	for n := range 300 {
		o := anyOrder(random, n)
		sequence := random.Int64() - random.Int64()
		got = got.acknowledged(sequence, o).settled(sequence, o)
		want.Events = append(want.Events,
			&orderv1.OrderEvent{
				Sequence: sequence, Outcome: &orderv1.OrderEvent_Acknowledged{Acknowledged: toOrder(o)},
			},
			&orderv1.OrderEvent{
				Sequence: sequence, Outcome: &orderv1.OrderEvent_Settled{Settled: &orderv1.OrderSettled{
					OrderId: o.ID, Status: toStatusOf(o), CancelReason: toReason(o),
					UpdateTime: timestamppb.New(o.UpdatedAt),
				}},
			})
	}
	read := &orderv1.CreateOrdersResponse{}
	if err := proto.Unmarshal(got, read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read, protocmp.Transform()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// anyOrder has every field, and n bytes in one of its names.
func anyOrder(random *rand.Rand, n int) order.Order {
	reasons := []order.CancelReason{"", order.ReasonCustomer, order.ReasonOperator}
	at := func() time.Time { return time.Unix(random.Int64N(1<<33)-1<<32, random.Int64N(1e9)) }
	o := order.Order{
		ID: "01a21ca9-edc5-76ff-9d6c-54ebd0f5c7b3", CustomerID: strings.Repeat("c", n%64), Currency: "JPY",
		AmountMinor: random.Int64N(order.MaxAmount), Status: order.Statuses[n%len(order.Statuses)],
		CancelReason: reasons[n%len(reasons)], CreatedAt: at(), UpdatedAt: at(), DeadlineAt: at(),
	}
	for range n % 4 {
		o.Items = append(o.Items, order.Item{
			Name: strings.Repeat("茶", n), Quantity: random.Int32N(math.MaxInt32),
			UnitPrice: random.Int64N(order.MaxAmount),
		})
	}
	return o
}
