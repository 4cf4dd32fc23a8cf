package demo

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/lab/stack"
)

// saga plays scenes through gRPC, as any client would.
type saga struct {
	system   *stack.Stack
	story    *timeline
	orders   orderv1.OrderServiceClient
	payments paymentv1.PaymentServiceClient
}

func newSaga(system *stack.Stack, story *timeline) (*saga, error) {
	orderd, err := system.Dial(system.Orderd, "shop")
	if err != nil {
		return nil, err
	}
	paymentd, err := system.Dial(system.Paymentd, "operator")
	if err != nil {
		return nil, err
	}
	return &saga{
		system: system, story: story,
		orders: orderv1.NewOrderServiceClient(orderd), payments: paymentv1.NewPaymentServiceClient(paymentd),
	}, nil
}

func (p *saga) play(ctx context.Context, s scene) (ending, error) {
	if s.outage {
		p.system.Paymentd.Kill()
		p.story.note("paymentd", "", "killed (SIGKILL)")
	}
	created, err := p.orders.CreateOrder(ctx, &orderv1.CreateOrderRequest{
		CustomerId: "demo", CurrencyCode: "JPY",
		Items: []*orderv1.Item{{Name: s.title, Quantity: 1, UnitPrice: s.amount}},
	})
	if err != nil {
		return ending{}, err
	}
	id := created.GetOrder().GetOrderId()
	p.story.watch(id)
	if err := p.disturb(ctx, s, id); err != nil {
		return ending{}, err
	}
	if err := p.settled(ctx, id); err != nil {
		return ending{}, err
	}
	if s.cancelWhen == "COMPLETED" {
		if err := p.cancel(ctx, id); err != nil {
			return ending{}, err
		}
		if err := p.settled(ctx, id); err != nil {
			return ending{}, err
		}
	}
	return p.ending(ctx, id)
}

// disturb does what the scene has in store for an order that is PENDING.
func (p *saga) disturb(ctx context.Context, s scene, id string) error {
	switch {
	case s.cancelWhen == "PENDING":
		return p.cancel(ctx, id)
	case s.outage:
		if err := p.story.awaitDelivery(ctx, id); err != nil {
			return err
		}
		p.story.note("paymentd", "", "started again")
		if err := p.system.Paymentd.Start(); err != nil {
			return err
		}
		return p.system.Paymentd.WaitReady(ctx)
	}
	return nil
}

func (p *saga) cancel(ctx context.Context, id string) error {
	_, err := p.orders.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id})
	return err
}

// settled waits until an order is COMPLETED or CANCELLED.
func (p *saga) settled(ctx context.Context, id string) error {
	watch, err := p.orders.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id})
	for err == nil {
		_, err = watch.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// ending asks both services how it ended.
func (p *saga) ending(ctx context.Context, id string) (ending, error) {
	o, err := p.orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
	if err != nil {
		return ending{}, err
	}
	e := ending{status: strings.TrimPrefix(o.GetOrder().GetStatus().String(), "STATUS_")}
	if reason := o.GetOrder().GetCancelReason(); reason != orderv1.Order_CANCEL_REASON_UNSPECIFIED {
		e.reason = strings.TrimPrefix(reason.String(), "CANCEL_REASON_")
	}
	payment, err := p.payments.GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: id})
	switch {
	case status.Code(err) == codes.NotFound:
		return e, nil
	case err != nil:
		return ending{}, err
	}
	e.payment = strings.TrimPrefix(payment.GetPayment().GetStatus().String(), "STATUS_")
	return e, nil
}
