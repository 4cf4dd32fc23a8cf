package main

import (
	"context"
	"slices"
	"time"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/story"
	"hosho/internal/wait"
)

const (
	pollInterval = 500 * time.Millisecond
	newestPage   = 200 // the newest orders, and as many older ones under way, that one look takes in
	newestShown  = 10  // of the orders that are there at the start
)

// followNewest tells each new order, and each state that an order comes to, until ctx ends: as far as one look after
// the other shows it. Where there are more than a look takes in, it leaves some out.
func followNewest(ctx context.Context, from orderd, tell func(*orderv1.Order) error) error {
	client, err := from.orders()
	if err != nil {
		return err
	}
	n := newest{client: client, seen: map[string]*orderv1.Order{}}
	for shown := newestShown; ; shown = 2 * newestPage {
		var looked []*orderv1.Order
		err := retried(ctx, func() (bool, error) {
			looked, err = n.look(ctx)
			return false, err
		})
		if err != nil {
			return err
		}
		changed := n.changed(looked)
		for _, o := range changed[max(0, len(changed)-shown):] {
			if err := tell(o); err != nil {
				return err
			}
		}
		if !wait.For(ctx, pollInterval) {
			return ctx.Err()
		}
	}
}

// newest is the newest orders as they were seen last, and the older ones that were under way then.
type newest struct {
	client orderv1.OrderServiceClient
	seen   map[string]*orderv1.Order
}

// look returns the newest orders, and how those under way do that are older.
func (n *newest) look(ctx context.Context) ([]*orderv1.Order, error) {
	var looked []*orderv1.Order
	for request := (&orderv1.ListOrdersRequest{PageSize: newestPage}); len(looked) < newestPage; {
		page, err := n.client.ListOrders(ctx, request)
		if err != nil {
			return nil, err
		}
		looked = append(looked, page.GetOrders()...)
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	older := n.forget(looked)
	for _, id := range older[:min(len(older), newestPage)] {
		reply, err := n.client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		if err != nil {
			return nil, err
		}
		looked = append(looked, reply.GetOrder())
	}
	return looked, nil
}

// forget forgets what is settled and not of the newest any more, and returns the others that are not.
func (n *newest) forget(page []*orderv1.Order) (older []string) {
	listed := map[string]bool{}
	for _, o := range page {
		listed[o.GetOrderId()] = true
	}
	for id, o := range n.seen {
		switch {
		case listed[id]:
		case story.Settled(o):
			delete(n.seen, id)
		default:
			older = append(older, id)
		}
	}
	return older
}

// changed returns the orders that are not in the state in which they were seen, the oldest change first, and keeps in
// mind what it was given.
func (n *newest) changed(looked []*orderv1.Order) []*orderv1.Order {
	var changed []*orderv1.Order
	for _, o := range looked {
		if n.seen[o.GetOrderId()].GetStatus() != o.GetStatus() {
			changed = append(changed, o)
		}
		n.seen[o.GetOrderId()] = o
	}
	slices.SortFunc(changed, func(a, b *orderv1.Order) int {
		return a.GetUpdateTime().AsTime().Compare(b.GetUpdateTime().AsTime())
	})
	return changed
}
