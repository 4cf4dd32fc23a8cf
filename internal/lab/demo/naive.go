package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
)

// naive plays scenes the way that looks right and is not: write the order as PENDING, call the payment service, write
// COMPLETED if it answers, and CANCELLED on any error. There is no outbox, no key that outlives the call, and no void.
// It stands here to be compared with, and nothing else may use it.
type naive struct {
	system     *stack.Stack
	story      *timeline
	orders     *pgxpool.Pool
	paymentd   *grpc.ClientConn
	compensate bool
}

// naiveTimeout is how long the naive service waits for the payment service.
const naiveTimeout = 2 * time.Second

func newNaive(ctx context.Context, system *stack.Stack, story *timeline, compensate bool) (*naive, error) {
	pool, err := pg.Open(ctx, pg.Config{URL: system.OrdersURL(), Application: "naive"})
	if err != nil {
		return nil, err
	}
	// The orders table defends itself against such code: it must be disarmed first.
	if _, err := pool.Exec(ctx, `ALTER TABLE orders DISABLE TRIGGER USER`); err != nil {
		return nil, err
	}
	paymentd, err := system.Dial(system.Paymentd, "relay")
	if err != nil {
		return nil, err
	}
	return &naive{system, story, pool, paymentd, compensate}, nil
}

func (p *naive) play(ctx context.Context, s scene) (ending, error) {
	id := uuid.NewString()
	if s.outage {
		p.system.Paymentd.Kill()
		p.story.note("paymentd", "", "killed (SIGKILL)")
	}
	_, err := p.orders.Exec(ctx, `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		VALUES ($1, 'demo', '[{"name": "naive", "quantity": 1, "unit_price": 1}]', $2, 'JPY', now() + '15 min')`,
		id, s.amount)
	if err != nil {
		return ending{}, err
	}
	p.story.note("naive", "PENDING", "accepted")
	p.story.watch(id)

	var call sync.WaitGroup
	call.Go(func() { err = errors.Join(err, p.pay(ctx, id, s.amount)) })
	if s.cancelWhen == "PENDING" {
		if err := p.write(ctx, id, "CANCELLED", "CUSTOMER", "customer cancels"); err != nil {
			return ending{}, err
		}
	}
	call.Wait()
	if err != nil {
		return ending{}, err
	}
	if s.cancelWhen == "COMPLETED" {
		if err := p.write(ctx, id, "CANCELLED", "CUSTOMER", "customer cancels"); err != nil {
			return ending{}, err
		}
	}
	if s.outage {
		p.story.note("paymentd", "", "started again")
		if err := errors.Join(p.system.Paymentd.Start(), p.system.Paymentd.WaitReady(ctx)); err != nil {
			return ending{}, err
		}
		if err := reconnect(ctx, p.paymentd); err != nil {
			return ending{}, err
		}
	}
	return p.ending(ctx, id)
}

// reconnect waits until a service that was started again is reached on the connection that it was killed on. Otherwise
// the next call might come before the connection is tried again, and fail at once with what was the matter before.
func reconnect(ctx context.Context, conn *grpc.ClientConn) error {
	conn.ResetConnectBackoff()
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	return err
}

// pay calls the payment service, and takes its answer for the truth. That is the mistake: an error says nothing about
// whether the charge was made.
func (p *naive) pay(ctx context.Context, id string, amount int64) error {
	bounded, cancel := context.WithTimeout(ctx, naiveTimeout)
	defer cancel()
	reply, err := paymentv1.NewPaymentServiceClient(p.paymentd).ChargePayment(bounded, &paymentv1.ChargePaymentRequest{
		PaymentId: id, CustomerId: "demo", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: amount},
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case err != nil && !p.compensate:
		p.story.note("naive", "", fmt.Sprintf("the call failed: %s; the order stays as it is", status.Code(err)))
		return nil
	case err != nil:
		return p.write(ctx, id, "CANCELLED", "PAYMENT_FAILED", fmt.Sprintf("the call failed: %s", status.Code(err)))
	case reply.GetPayment().GetStatus() == paymentv1.Payment_STATUS_CHARGED:
		return p.write(ctx, id, "COMPLETED", "", "payment charged")
	default:
		return p.write(ctx, id, "CANCELLED", "PAYMENT_DECLINED", "payment declined")
	}
}

// write overwrites the status, whatever it is by now.
func (p *naive) write(ctx context.Context, id, status, reason, cause string) error {
	_, err := p.orders.Exec(ctx, `
		UPDATE orders SET status = $2, cancel_reason = nullif($3, '') WHERE id = $1`, id, status, reason)
	p.story.note("naive", status, cause)
	return err
}

func (p *naive) ending(ctx context.Context, id string) (ending, error) {
	var e ending
	err := p.orders.QueryRow(ctx, `
		SELECT status, coalesce(cancel_reason, '') FROM orders WHERE id = $1`, id).Scan(&e.status, &e.reason)
	if err != nil {
		return ending{}, err
	}
	payments, err := pgx.Connect(ctx, p.system.PaymentsURL())
	if err != nil {
		return ending{}, err
	}
	defer payments.Close(ctx)
	err = payments.QueryRow(ctx, `SELECT status FROM payments WHERE id = $1`, id).Scan(&e.payment)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return e, err
}
