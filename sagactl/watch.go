package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/story"
	"hosho/internal/terminal"
	"hosho/internal/wait"
)

type watch struct {
	orderd
	Order string `arg:"" optional:"" help:"The order's id; without one, follow the newest orders until Ctrl-C."`
	JSON  bool   `help:"Print a JSON object for each state of an order."`
}

// Run follows one order until it is settled, or all new ones until ctx ends.
func (w *watch) Run(ctx context.Context, screen *terminal.Terminal) error {
	print := orderPrinter{screen: screen, json: w.JSON}
	if w.Order == "" {
		return w.newest(ctx, print.state)
	}
	_, err := follow(ctx, w.orderd, &orderv1.Order{OrderId: w.Order}, print.state)
	return err
}

// follow tells each state that an order comes to after a known one, until it is settled, and returns the last. Where
// the stream breaks it goes on with another.
func follow(
	ctx context.Context, from orderd, known *orderv1.Order, tell func(*orderv1.Order) error,
) (*orderv1.Order, error) {
	orders, err := from.orders()
	if err != nil {
		return nil, err
	}
	err = retried(ctx, func() (progress bool, err error) {
		stream, err := orders.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: known.GetOrderId()})
		for err == nil {
			var reply *orderv1.WatchOrderResponse
			if reply, err = stream.Recv(); err != nil {
				break
			}
			progress = true
			if reply.GetOrder().GetStatus() == known.GetStatus() { // after a break the present state comes again
				continue
			}
			known = reply.GetOrder()
			if err := tell(known); err != nil {
				return progress, err
			}
		}
		if errors.Is(err, io.EOF) {
			return progress, nil
		}
		return progress, inWords(story.Orderd, from.Orderd, err)
	})
	return known, err
}

// retryWaits are the waits before a call is tried again: a service that is started again needs a moment.
var retryWaits = []time.Duration{
	200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond,
	3200 * time.Millisecond,
}

// retried calls again while the service cannot be reached or the outcome is unknown, and says so. A call that has come
// further than the one before has all its tries again.
func retried(ctx context.Context, call func() (progress bool, err error)) error {
	for tries := 0; ; tries++ {
		progress, err := call()
		if progress {
			tries = 0
		}
		if status.Code(err) != codes.Unavailable || tries == len(retryWaits) {
			return err
		}
		if tries == 0 {
			fmt.Fprintf(os.Stderr, "sagactl: %v; trying again\n", err)
		}
		if !wait.For(ctx, retryWaits[tries]) {
			return ctx.Err()
		}
	}
}

const (
	pollInterval = 500 * time.Millisecond
	newestPage   = 200 // new orders that one look can see
	newestShown  = 10  // of those that are there at the start
)

// newest tells each new order and each state that an order comes to, as far as a look at the newest orders, again and
// again, shows it.
func (w *watch) newest(ctx context.Context, tell func(*orderv1.Order) error) error {
	orders, err := w.orders()
	if err != nil {
		return err
	}
	seen := map[string]orderv1.Order_Status{}
	for first := true; ; first = false {
		var page []*orderv1.Order
		err := retried(ctx, func() (bool, error) {
			page, err = look(ctx, orders, seen)
			return false, err
		})
		if err != nil {
			return err
		}
		if err := tellChanges(page, seen, first, tell); err != nil {
			return err
		}
		if !wait.For(ctx, pollInterval) {
			return ctx.Err()
		}
	}
}

// look returns the newest orders, and those that were under way when they were seen last.
func look(
	ctx context.Context, orders orderv1.OrderServiceClient, seen map[string]orderv1.Order_Status,
) ([]*orderv1.Order, error) {
	reply, err := orders.ListOrders(ctx, &orderv1.ListOrdersRequest{PageSize: newestPage})
	if err != nil {
		return nil, err
	}
	all := reply.GetOrders()
	listed := map[string]bool{}
	for _, o := range all {
		listed[o.GetOrderId()] = true
	}
	for id, was := range seen {
		if listed[id] || isSettled(was) {
			continue
		}
		reply, err := orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		if err != nil {
			return nil, err
		}
		all = append(all, reply.GetOrder())
	}
	return all, nil
}

// tellChanges tells what is not as it was seen, the oldest change first, and keeps in mind what it looked at.
func tellChanges(
	page []*orderv1.Order, seen map[string]orderv1.Order_Status, first bool, tell func(*orderv1.Order) error,
) error {
	slices.SortFunc(page, func(a, b *orderv1.Order) int {
		return a.GetUpdateTime().AsTime().Compare(b.GetUpdateTime().AsTime())
	})
	told := page
	if first {
		told = page[max(0, len(page)-newestShown):]
	}
	for _, o := range told {
		if was, ok := seen[o.GetOrderId()]; ok && was == o.GetStatus() {
			continue
		}
		if err := tell(o); err != nil {
			return err
		}
	}
	clear(seen)
	for _, o := range page {
		seen[o.GetOrderId()] = o.GetStatus()
	}
	return nil
}

func isSettled(s orderv1.Order_Status) bool { return story.Settled(&orderv1.Order{Status: s}) }
