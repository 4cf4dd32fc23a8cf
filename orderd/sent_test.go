package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/slow"
)

// sentRequests is a request of plain orders, and one of others.
func sentRequests(random *rand.Rand) (plain, others *orderv1.CreateOrdersRequest) {
	plain = &orderv1.CreateOrdersRequest{Orders: []*orderv1.SequencedOrder{{}, {Order: &orderv1.CreateOrderRequest{}}}}
	for n := range 20 {
		o := &orderv1.CreateOrderRequest{
			CustomerId: "alice", CurrencyCode: "JPY", RequestId: proto.String(strings.Repeat("r", 9*n)),
		}
		for range n % 4 {
			o.Items = append(o.Items, &orderv1.Item{
				Name: strings.Repeat("茶", n), Quantity: random.Int32(), UnitPrice: random.Int64(),
			})
		}
		plain.Orders = append(plain.Orders, &orderv1.SequencedOrder{
			Sequence: random.Int64N(1 << 60), Order: o, TellSettled: n%2 == 0,
		})
	}
	others = proto.CloneOf(plain)
	others.Orders[5].Order.Wait = durationpb.New(time.Second)
	others.Orders[6].Sequence = -1
	others.Orders[7].Order.Items[0].Quantity = -7
	return plain, others
}

// What is read by hand is what protobuf reads, and nothing is that protobuf refuses.
func TestOrdersAreReadAsProtobufReadsThem(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	plain, others := sentRequests(random)
	for _, request := range []*orderv1.CreateOrdersRequest{plain, others} {
		message, err := proto.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		if orders, byHand := plainOrders(message, len(request.Orders)); byHand != (request == plain) {
			t.Errorf("read by hand %v: %v, want %v", request == plain, byHand, orders)
		}
		wantOrders(t, message)
		for range slow.Times(2_000, 100_000) {
			wantOrders(t, damaged(random, message))
		}
	}
}

// damaged is a message of which a few bytes are others, are gone, or are there twice.
func damaged(random *rand.Rand, message []byte) []byte {
	message = slices.Clone(message)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(message))
		to := min(at+random.IntN(60), len(message))
		switch random.IntN(4) {
		case 0:
			message[at] = byte(random.Uint32())
		case 1:
			message[at] ^= 1 << random.IntN(8)
		case 2:
			message = slices.Delete(message, at, min(at+1, to))
		default:
			message = slices.Insert(message, at, slices.Clone(message[at:to])...)
		}
	}
	return message
}

func wantOrders(t *testing.T, message []byte) {
	t.Helper()
	n, err := countOrders(message)
	if err != nil {
		return
	}
	var want orderv1.CreateOrdersRequest
	refused := proto.Unmarshal(message, &want)
	got, err := ordersIn(message, n)
	if (err != nil) != (refused != nil || len(want.Orders) != n) {
		t.Fatalf("%x: got error %v, want as %v", message, err, refused)
	}
	if err != nil {
		return
	}
	read := &orderv1.CreateOrdersRequest{Orders: got}
	want.ProtoReflect().SetUnknown(nil)
	if !proto.Equal(&want, read) {
		t.Fatalf("%x: orders (-want +got):\n%s", message, cmp.Diff(&want, read, protocmp.Transform()))
	}
}
