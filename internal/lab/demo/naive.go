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

// Naive plays scenes the way that looks right and is not: write the order as PENDING, call the payment service, write
// COMPLETED if it answers, and CANCELLED on any error. There is no outbox, no key that outlives the call, and no void.
// It stands here to be compared with, and nothing else may use it.
type Naive struct {
	config   NaiveConfig
	story    Story
	orders   *pgxpool.Pool
	paymentd *grpc.ClientConn
}

// NaiveConfig says where the naive way is gone.
type NaiveConfig struct {
	OrdersURL, PaymentsURL string // migrated databases
	Paymentd               *stack.Process
	Dial                   func() (*grpc.ClientConn, error) // connects with it
	Compensate             bool                             // cancel an order whose call fails; else it stays
}

// naiveTimeout is how long the naive service waits for the payment service.
const naiveTimeout = 2 * time.Second

// NewNaive makes the orders database defenceless: its table refuses what is going to be done.
func NewNaive(ctx context.Context, config NaiveConfig, story Story) (*Naive, error) {
	pool, err := pg.Open(ctx, pg.Config{URL: config.OrdersURL, Application: "naive"})
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, `ALTER TABLE orders DISABLE TRIGGER USER`); err != nil {
		pool.Close()
		return nil, err
	}
	paymentd, err := config.Dial()
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &Naive{config, story, pool, paymentd}, nil
}

// Close ends the connections.
func (p *Naive) Close() error {
	p.orders.Close()
	return p.paymentd.Close()
}

// Play plays a scene.
func (p *Naive) Play(ctx context.Context, s Scene) (Ending, error) {
	if s.Outage {
		p.config.Paymentd.Kill()
		p.story.Note("paymentd", "", "killed (SIGKILL)")
	}
	id, err := p.accept(ctx, s.Amount)
	if err != nil {
		return Ending{}, err
	}
	var call sync.WaitGroup
	call.Go(func() { err = p.pay(ctx, id, s.Amount) })
	var cancelled error
	if s.CancelWhen == "PENDING" {
		cancelled = p.cancel(ctx, id)
	}
	call.Wait()
	if err := errors.Join(err, cancelled); err != nil {
		return Ending{}, err
	}
	if s.CancelWhen == "COMPLETED" {
		if err := p.cancel(ctx, id); err != nil {
			return Ending{}, err
		}
	}
	if s.Outage {
		p.story.Note("paymentd", "", "started again")
		if err := errors.Join(p.config.Paymentd.Start(), p.config.Paymentd.WaitReady(ctx)); err != nil {
			return Ending{}, err
		}
		if err := p.Reconnect(ctx); err != nil {
			return Ending{}, err
		}
	}
	return p.ending(ctx, id)
}

// Order places an order, and returns when the payment service has answered or has had its time.
func (p *Naive) Order(ctx context.Context, amount int64) error {
	id, err := p.accept(ctx, amount)
	if err != nil {
		return err
	}
	return p.pay(ctx, id, amount)
}

func (p *Naive) accept(ctx context.Context, amount int64) (id string, err error) {
	id = uuid.NewString()
	_, err = p.orders.Exec(ctx, `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		VALUES ($1, 'demo', '[{"name": "naive", "quantity": 1, "unit_price": 1}]', $2, 'JPY', now() + '15 min')`,
		id, amount)
	if err != nil {
		return "", err
	}
	p.story.Note("naive", "PENDING", "accepted")
	p.story.Watch(id)
	return id, nil
}

func (p *Naive) cancel(ctx context.Context, id string) error {
	return p.write(ctx, id, "CANCELLED", "CUSTOMER", "customer cancels")
}

// Reconnect waits until the payment service is reached.
func (p *Naive) Reconnect(ctx context.Context) error { return reconnect(ctx, p.paymentd) }

// Hurry has the payment service reached as soon as it is there again.
func (p *Naive) Hurry() { p.paymentd.ResetConnectBackoff() }

// reconnect waits until a service that was started again is reached on the connection that it was killed on. Otherwise
// the next call might come before the connection is tried again, and fail at once with what was the matter before.
func reconnect(ctx context.Context, conn *grpc.ClientConn) error {
	conn.ResetConnectBackoff()
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	return err
}

// pay calls the payment service, and takes its answer for the truth. That is the mistake: an error says nothing about
// whether the charge was made.
func (p *Naive) pay(ctx context.Context, id string, amount int64) error {
	bounded, cancel := context.WithTimeout(ctx, naiveTimeout)
	defer cancel()
	reply, err := paymentv1.NewPaymentServiceClient(p.paymentd).ChargePayment(bounded, &paymentv1.ChargePaymentRequest{
		PaymentId: id, CustomerId: "demo", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: amount},
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case err != nil && !p.config.Compensate:
		p.story.Note("naive", "", fmt.Sprintf("the call failed: %s; the order stays as it is", status.Code(err)))
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
func (p *Naive) write(ctx context.Context, id, status, reason, cause string) error {
	_, err := p.orders.Exec(ctx, `
		UPDATE orders SET status = $2, cancel_reason = nullif($3, '') WHERE id = $1`, id, status, reason)
	p.story.Note("naive", status, cause)
	return err
}

func (p *Naive) ending(ctx context.Context, id string) (Ending, error) {
	var e Ending
	err := p.orders.QueryRow(ctx, `
		SELECT status, coalesce(cancel_reason, '') FROM orders WHERE id = $1`, id).Scan(&e.Status, &e.Reason)
	if err != nil {
		return Ending{}, err
	}
	payments, err := pgx.Connect(ctx, p.config.PaymentsURL)
	if err != nil {
		return Ending{}, err
	}
	defer payments.Close(ctx)
	err = payments.QueryRow(ctx, `SELECT status FROM payments WHERE id = $1`, id).Scan(&e.Payment)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return e, err
}
