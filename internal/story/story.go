// Package story tells what happened to an order: what was tried and what it came to, what money is held, what follows,
// and whether a person must act.
//
// Its promise: whatever it tells was said by one of the three services, or follows from what they said and is marked
// so; it tells it in the order of time, and says who could not be asked. Each fact has a meaning, a tone; how that
// looks is for those who show it.
package story

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// Services are whom it asks. Any relay speaks for all of them.
type Services struct {
	Orders   orderv1.OrderServiceClient
	Payments paymentv1.PaymentServiceClient
	Outbox   relayv1.OutboxServiceClient
}

// The names of the services, as a Silence has them.
const (
	Orderd   = "orderd"
	Paymentd = "paymentd"
	Relay    = "relay"
)

// Story is what the services say of an order. What a service does not know is nil.
type Story struct {
	OrderID  string
	Order    *orderv1.Order
	Delivery *relayv1.ExplainOrderResponse
	Payment  *paymentv1.GetPaymentResponse
	Silent   []Silence
}

// Silence is a service that could not be asked, and why.
type Silence struct {
	Service string
	Err     error
}

// askTimeout bounds one question.
const askTimeout = 10 * time.Second

// Ask asks one service after the other, the order last: what it says then is the newest.
func Ask(ctx context.Context, services Services, orderID string) Story {
	s := Story{OrderID: orderID}
	s.ask(ctx, Relay, func(ctx context.Context) (err error) {
		s.Delivery, err = services.Outbox.ExplainOrder(ctx, &relayv1.ExplainOrderRequest{OrderId: orderID})
		return err
	})
	s.ask(ctx, Paymentd, func(ctx context.Context) error {
		if err := rightPayments(ctx, services); err != nil {
			return err
		}
		reply, err := services.Payments.GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: orderID})
		s.Payment = reply
		return err
	})
	s.ask(ctx, Orderd, func(ctx context.Context) error {
		reply, err := services.Orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: orderID})
		s.Order = reply.GetOrder()
		return err
	})
	return s
}

// rightPayments returns an error when paymentd has another payments database than the orders trust: what that one does
// not know says nothing of the order. Services of an earlier release, or that are away, leave it unknown.
func rightPayments(ctx context.Context, services Services) error {
	is, err := services.Payments.GetDatabase(ctx, &paymentv1.GetDatabaseRequest{})
	if err != nil {
		return nil // GetPayment tells of it
	}
	backlog, err := services.Outbox.GetBacklog(ctx, &relayv1.GetBacklogRequest{})
	if err != nil {
		return nil // ExplainOrder has told of it
	}
	got, want := is.GetPaymentsDatabase(), backlog.GetPaymentsDatabase().GetTrusted()
	if want == "" || got == want {
		return nil
	}
	return fmt.Errorf("paymentd has another payments database than the orders trust, and is not asked: got %s, want "+
		"%s: ask the right one, or see \"wrong payments database\" in doc/operations.md", got, want)
}

// ask asks a service. That it does not know the order is an answer; any other error is noted.
func (s *Story) ask(ctx context.Context, service string, question func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := question(ctx); err != nil && status.Code(err) != codes.NotFound {
		s.Silent = append(s.Silent, Silence{service, err})
	}
}

// Unknown reports whether every service was asked, and none knows the order.
func (s Story) Unknown() bool {
	return s.Order == nil && s.Delivery == nil && s.Payment == nil && len(s.Silent) == 0
}

// NoOrder reports whether orderd was asked, and has no such order: there may be a payment under the key all the same.
func (s Story) NoOrder() bool { return s.Order == nil && !s.IsSilent(Orderd) }

func (s Story) IsSilent(service string) bool {
	return slices.ContainsFunc(s.Silent, func(who Silence) bool { return who.Service == service })
}

// Tone is what a fact means to somebody who wants the order settled.
type Tone string

// The tones.
const (
	Neutral Tone = ""        // it neither helps nor harms
	Waiting Tone = "waiting" // it is not decided yet
	Good    Tone = "good"    // it is as it was wished
	Over    Tone = "over"    // it is not as it was wished, and it is decided
	Bad     Tone = "bad"     // it does not get better by itself
)
