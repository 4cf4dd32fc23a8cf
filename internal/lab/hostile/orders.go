package hostile

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/wait"
)

const (
	customer   = "hostile"
	callers    = 32
	preparing  = time.Minute
	maxReply   = 64 << 20 // a client that takes whatever comes
	maxItems   = 100
	nameLength = 200 // characters, of two bytes each
)

// LargeOrders places so many orders that are as large as they may be, for UnreadPages and Pages to ask for.
func LargeOrders(ctx context.Context, address string, orders int) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := orderv1.NewOrderServiceClient(conn)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(callers / 4)
	for range orders {
		group.Go(func() error {
			_, err := client.CreateOrder(ctx, order(maxItems))
			return err
		})
	}
	return group.Wait()
}

func order(items int) *orderv1.CreateOrderRequest {
	r := &orderv1.CreateOrderRequest{CustomerId: customer, CurrencyCode: "JPY"}
	for i := range items {
		name := fmt.Sprintf("%03d", i)
		name += strings.Repeat("é", nameLength-len(name))
		r.Items = append(r.Items, &orderv1.Item{Name: name, Quantity: 1, UnitPrice: 10})
	}
	return r
}

// hangs is the amount that the simulated card network of package stack does not answer: its order stays open.
const hangs = 9997

// place places an order of so many items, which is open for long.
func place(ctx context.Context, address string, items int) (*orderv1.Order, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, preparing)
	defer cancel()
	wanted := order(items)
	wanted.Items[0].UnitPrice = hangs
	reply, err := orderv1.NewOrderServiceClient(conn).CreateOrder(ctx, wanted)
	return reply.GetOrder(), err
}

func largePage() *orderv1.ListOrdersRequest {
	return &orderv1.ListOrdersRequest{PageSize: 1000, CustomerId: customer}
}

// Pages has 32 callers ask for pages of 1,000 large orders, one after the other, and read them. LargeOrders places the
// orders.
func Pages(ctx context.Context, address string) error {
	conn, err := dial(ctx, address, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := orderv1.NewOrderServiceClient(conn)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := client.ListOrders(ctx, largePage()); err != nil {
					wait.For(ctx, comeback) // it was refused
				}
			}
		})
	}
	all.Wait()
	return nil
}
