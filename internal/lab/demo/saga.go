package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/wait"
)

// Saga plays scenes through gRPC, as any client would.
type Saga struct {
	system   *stack.Stack
	story    Story
	outbox   *pgxpool.Pool // the orders database, to see that a command was sent
	conns    []*grpc.ClientConn
	orders   orderv1.OrderServiceClient
	payments paymentv1.PaymentServiceClient
}

// NewSaga connects with a system when it plays first.
func NewSaga(system *stack.Stack, story Story) (*Saga, error) {
	orderd, err := system.Dial(system.Orderd, "shop")
	if err != nil {
		return nil, err
	}
	paymentd, err := system.Dial(system.Paymentd, "operator")
	if err != nil {
		return nil, errors.Join(err, orderd.Close())
	}
	outbox, err := pg.Open(context.Background(), pg.Config{URL: system.OrdersURL(), Application: "demo", MaxConns: 1})
	if err != nil {
		return nil, errors.Join(err, orderd.Close(), paymentd.Close())
	}
	return &Saga{
		system: system, story: story, outbox: outbox, conns: []*grpc.ClientConn{orderd, paymentd},
		orders: orderv1.NewOrderServiceClient(orderd), payments: paymentv1.NewPaymentServiceClient(paymentd),
	}, nil
}

// Close ends the connections.
func (p *Saga) Close() error {
	p.outbox.Close()
	var err error
	for _, conn := range p.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// Play plays a scene.
func (p *Saga) Play(ctx context.Context, s Scene) (Ending, error) {
	if s.Outage {
		p.system.Paymentd.Kill()
		p.story.Note("paymentd", "", "killed (SIGKILL)")
	}
	if s.NoBroker {
		p.system.Broker.Kill()
		p.story.Note("broker", "", "killed (SIGKILL)")
	}
	id, err := p.Order(ctx, s.Title, s.Amount)
	if err != nil {
		return Ending{}, err
	}
	p.story.Watch(id)
	if err := p.disturb(ctx, s, id); err != nil {
		return Ending{}, err
	}
	if err := p.settled(ctx, id); err != nil {
		return Ending{}, err
	}
	if s.CancelWhen == "COMPLETED" {
		if err := p.cancel(ctx, id); err != nil {
			return Ending{}, err
		}
		if err := p.settled(ctx, id); err != nil {
			return Ending{}, err
		}
	}
	return p.ending(ctx, id)
}

// Order places an order of one item, and does not wait how it ends.
func (p *Saga) Order(ctx context.Context, item string, amount int64) (id string, err error) {
	created, err := p.orders.CreateOrder(ctx, &orderv1.CreateOrderRequest{
		CustomerId: "demo", CurrencyCode: "JPY",
		Items: []*orderv1.Item{{Name: item, Quantity: 1, UnitPrice: amount}},
	})
	return created.GetOrder().GetOrderId(), err
}

// disturb does what the scene has in store for an order that is PENDING.
func (p *Saga) disturb(ctx context.Context, s Scene, id string) error {
	switch {
	case s.CancelWhen == "PENDING":
		return p.cancel(ctx, id)
	case s.Outage:
		if err := p.awaitDelivery(ctx, id); err != nil {
			return err
		}
		p.story.Note("paymentd", "", "started again")
		if err := p.system.Paymentd.Start(); err != nil {
			return err
		}
		return p.system.Paymentd.WaitReady(ctx)
	case s.NoBroker:
		if err := p.awaitDelivery(ctx, id); err != nil {
			return err
		}
		p.story.Note("broker", "", "started again")
		return p.system.Broker.Restart(ctx)
	}
	return nil
}

const deliveryPoll = 20 * time.Millisecond

// awaitDelivery waits until a delivery of the order's command was tried, with whatever result, or a broker has it.
func (p *Saga) awaitDelivery(ctx context.Context, id string) error {
	for {
		var tried bool
		err := p.outbox.QueryRow(ctx, `
			SELECT NOT EXISTS (SELECT FROM outbox WHERE key = $1 AND last_code IS NULL AND sends = 0)`, id).Scan(&tried)
		if err != nil {
			return fmt.Errorf("wait for a delivery: %w", err)
		}
		if tried {
			return nil
		}
		if !wait.For(ctx, deliveryPoll) {
			return ctx.Err()
		}
	}
}

func (p *Saga) cancel(ctx context.Context, id string) error {
	_, err := p.orders.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id})
	return err
}

// settled waits until an order is COMPLETED or CANCELLED.
func (p *Saga) settled(ctx context.Context, id string) error {
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
func (p *Saga) ending(ctx context.Context, id string) (Ending, error) {
	o, err := p.orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
	if err != nil {
		return Ending{}, err
	}
	e := Ending{Status: strings.TrimPrefix(o.GetOrder().GetStatus().String(), "STATUS_")}
	if reason := o.GetOrder().GetCancelReason(); reason != orderv1.Order_CANCEL_REASON_UNSPECIFIED {
		e.Reason = strings.TrimPrefix(reason.String(), "CANCEL_REASON_")
	}
	payment, err := p.payments.GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: id})
	switch {
	case status.Code(err) == codes.NotFound:
		return e, nil
	case err != nil:
		return Ending{}, err
	}
	e.Payment = strings.TrimPrefix(payment.GetPayment().GetStatus().String(), "STATUS_")
	return e, nil
}
