package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	relay
	Order string `arg:"" optional:"" help:"The order's id; without one, follow all orders until Ctrl-C."`
	JSON  bool   `help:"Print a JSON object for each state of an order."`
}

// AfterApply is called by kong.
func (w *watch) AfterApply(c *certificate) error {
	return errors.Join(w.orderd.AfterApply(c), w.relay.AfterApply(c))
}

// Validate is called by kong.
func (w *watch) Validate() error { return errors.Join(w.orderd.Validate(), w.relay.Validate()) }

// Run follows one order until it is settled, or all of them until ctx ends.
func (w *watch) Run(ctx context.Context, screen *terminal.Terminal) error {
	if w.Order == "" {
		return watchAll(ctx, w, changePrinter{screen, w.JSON}.print)
	}
	print := orderPrinter{screen: screen, json: w.JSON}
	_, err := followOrder(ctx, w.orderd, &orderv1.Order{OrderId: w.Order}, print.state)
	return err
}

// followOrder tells each state that an order comes to after a known one, until it is settled, and returns the last.
// Where the stream breaks it goes on with another.
func followOrder(
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
