package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/lab/load"
	"hosho/internal/wait"
)

// forgetPayments loses the payments of orders of its own, as a restore to an older state does, and cancels them. An
// operator settles what can never be settled otherwise.
func forgetPayments(ctx context.Context, s *system, random *rand.Rand) error {
	s.logs.expectAlarms()
	var lost []string
	for {
		id, err := s.forgetOne(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		if id != "" {
			lost = append(lost, id)
		}
		if !wait.For(ctx, span(random, 200*time.Millisecond, time.Second)) {
			break
		}
	}
	var err error
	for _, id := range lost {
		err = errors.Join(err, s.settleByHand(context.WithoutCancel(ctx), id))
	}
	return err
}

// forgetTime bounds what is done about one order.
const forgetTime = 30 * time.Second

// forgetOne has an order paid, loses the payment, and cancels the order. It returns the order's id.
func (s *system) forgetOne(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, forgetTime)
	defer cancel()
	id, err := s.payOne(ctx)
	if err != nil {
		return "", err
	}
	if err := s.losePayment(ctx, id); err != nil {
		return "", err
	}
	_, err = s.client.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id})
	return id, err
}

// payOne has an order paid, and returns its id.
func (s *system) payOne(ctx context.Context) (string, error) {
	made, err := s.client.CreateOrder(ctx, &orderv1.CreateOrderRequest{
		CustomerId: load.Customer + "one", CurrencyCode: "JPY",
		Items: []*orderv1.Item{{Name: load.Item, Quantity: 1, UnitPrice: 600}},
	})
	if err != nil {
		return "", err
	}
	id := made.GetOrder().GetOrderId()
	return id, s.awaitStatus(ctx, id, orderv1.Order_STATUS_COMPLETED)
}

// losePayment goes past the triggers that keep payments and ledger, as a restore does.
func (s *system) losePayment(ctx context.Context, id string) error {
	return pgx.BeginFunc(ctx, s.payments, func(tx pgx.Tx) error {
		for _, statement := range []string{
			`SET LOCAL session_replication_role = replica`,
			`DELETE FROM ledger WHERE payment_id = '` + id + `'`,
			`DELETE FROM payments WHERE id = '` + id + `'`,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *system) awaitStatus(ctx context.Context, id string, want orderv1.Order_Status) error {
	for {
		reply, err := s.client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		if err == nil && reply.GetOrder().GetStatus() == want {
			return nil
		}
		if !wait.For(ctx, poll) {
			return fmt.Errorf("order %s: got %v, want %s: %w", id, reply.GetOrder().GetStatus(), want, err)
		}
	}
}

// settleByHand does what an operator must: nobody gives back money of which nothing is known any more. An order that is
// CANCELLED without him is for the proof to find.
func (s *system) settleByHand(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, forgetTime)
	defer cancel()
	conn, err := s.Dial(s.Relays[0], "operator")
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		_, err := relayv1.NewOutboxServiceClient(conn).SettleParked(ctx, &relayv1.SettleParkedRequest{
			OrderId: id, Operator: "chaos", Reason: "its payment was lost on purpose",
		})
		if status.Code(err) != codes.FailedPrecondition { // until its VOID was answered
			return err
		}
		order, err := s.client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		if err == nil && order.GetOrder().GetStatus() == orderv1.Order_STATUS_CANCELLED {
			return nil
		}
		if !wait.For(ctx, poll) {
			return fmt.Errorf("settle order %s by hand: %w", id, err)
		}
	}
}
