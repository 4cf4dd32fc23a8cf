package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/load"
	"hosho/internal/rules"
	"hosho/internal/wait"
)

// Orders are committed together. These are for what one of them could do to the others.
var requestFaults = []fault{
	{
		name: "held-request", says: "somebody has written the request_id that a customer uses, and does not commit",
		targets: []string{ordersDB},
		lasts:   between(3*time.Second, 8*time.Second), run: heldRequest,
	},
	{
		name: "reused-requests", says: "customers use their request_ids again for something else",
		targets: []string{crowd},
		lasts:   between(3*time.Second, 8*time.Second), run: reusedRequests,
	},
}

const (
	heldPause     = 50 * time.Millisecond
	heldEnd       = 30 * time.Second // within which the order is accepted when nobody holds its request_id
	steadyWithin  = 2 * time.Second  // in which some of the others' orders are accepted meanwhile
	reusers       = 4
	reusersCustom = load.Customer + "reuse"
)

// requested is an order under a request_id.
func requested(customer, id string, amount int64) *orderv1.CreateOrderRequest {
	return &orderv1.CreateOrderRequest{
		CustomerId: customer, RequestId: &id, CurrencyCode: "JPY",
		Items: []*orderv1.Item{{Name: load.Item, Quantity: 1, UnitPrice: amount}},
	}
}

// heldRequest has a session write an order and neither commit nor roll it back, while its customer asks for it. The
// others' orders are accepted all the same, and so is his when the session is through.
func heldRequest(ctx context.Context, s *system, random *rand.Rand) error {
	forever := context.WithoutCancel(ctx)
	customer, id := load.Customer+"held", fmt.Sprintf("held-%d", random.Int64())
	tx, err := s.orders.Begin(forever)
	if err != nil {
		return err
	}
	_, err = tx.Exec(forever, `
		INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
		VALUES (gen_random_uuid(), $1, $2, '\x00', '[{}]', 1, 'JPY', clock_timestamp())`, customer, id)
	if err == nil {
		s.askForHeld(ctx, customer, id)
	}
	if failed := tx.Rollback(forever); err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(forever, heldEnd)
	defer cancel()
	for {
		_, err := s.client.CreateOrder(bounded, requested(customer, id, 1))
		if err == nil {
			return nil
		}
		if !wait.For(bounded, heldPause) {
			return fmt.Errorf("an order whose request_id nobody holds any more is not accepted: %w", err)
		}
	}
}

// askForHeld asks again and again, until ctx ends, and sees to it that the others are served.
func (s *system) askForHeld(ctx context.Context, customer, id string) {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		for wait.For(ctx, heldPause) {
			_, _ = s.client.CreateOrder(ctx, requested(customer, id, 1)) // it waits, or is told to come again
		}
	})
	for before := s.accepted(); wait.For(ctx, steadyWithin); {
		now := s.accepted()
		if now == before && s.alone {
			s.blame(Violation{rules.Steady, fmt.Sprintf(
				"held-request: no order was accepted for %s because of one that waits", steadyWithin)})
		}
		before = now
	}
}

// reusedRequests orders something, and something else under the same request_id, beside those of the customers. That
// is refused, and nothing else is.
func reusedRequests(ctx context.Context, s *system, random *rand.Rand) error {
	run := random.Int64()
	var all sync.WaitGroup
	defer all.Wait()
	for n := range reusers {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				s.reuse(ctx, fmt.Sprintf("reuse-%d-%d-%d", run, n, i))
			}
		})
	}
	return nil
}

func (s *system) reuse(ctx context.Context, id string) {
	_, err := s.client.CreateOrder(ctx, requested(reusersCustom, id, 1))
	for range 5 {
		if err != nil || ctx.Err() != nil {
			wait.For(ctx, heldPause)
			return
		}
		_, again := s.client.CreateOrder(ctx, requested(reusersCustom, id, 2))
		switch code := status.Code(again); code {
		case codes.AlreadyExists, codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted,
			codes.Canceled:
		default:
			s.blame(Violation{rules.Fault, fmt.Sprintf("a request_id that was used for something else: %v", again)})
		}
	}
}
