package hostile_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// customer is somebody who uses a daemon as he should while others do not, twenty times a second.
type customer struct {
	use     func(ctx context.Context) error
	took    []time.Duration
	refused int // calls that were told to come later, which ended otherwise
	errs    []error
}

const (
	customersPace = 50 * time.Millisecond
	patience      = 30 * time.Second
)

// newCustomer makes a customer of a daemon, by its name.
func newCustomer(t *testing.T, daemon *stack.Process) *customer {
	t.Helper()
	conn, err := rpc.Dial(daemon.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &customer{use: uses[daemon.Name](conn)}
	if err := c.use(t.Context()); err != nil { // before the attack: it has a connection
		t.Fatal(err)
	}
	return c
}

var uses = map[string]func(*grpc.ClientConn) func(context.Context) error{
	"orderd": func(conn *grpc.ClientConn) func(context.Context) error {
		client := orderv1.NewOrderServiceClient(conn)
		return func(ctx context.Context) error {
			reply, err := client.CreateOrder(ctx, &orderv1.CreateOrderRequest{
				CustomerId: "ordinary", CurrencyCode: "JPY",
				Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
			})
			if err != nil {
				return err
			}
			_, err = client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: reply.GetOrder().GetOrderId()})
			return err
		}
	},
	"paymentd": func(conn *grpc.ClientConn) func(context.Context) error {
		client := paymentv1.NewPaymentServiceClient(conn)
		return func(ctx context.Context) error {
			_, err := client.ChargePayment(ctx, &paymentv1.ChargePaymentRequest{
				PaymentId: uuid.NewString(), CustomerId: "ordinary",
				Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 600},
			})
			return err
		}
	},
	"relay": func(conn *grpc.ClientConn) func(context.Context) error {
		client := relayv1.NewOutboxServiceClient(conn)
		return func(ctx context.Context) error {
			_, err := client.GetBacklog(ctx, &relayv1.GetBacklogRequest{})
			return err
		}
	},
}

// call uses the daemon once. Who is told to come later does, as a client should.
func (c *customer) call(ctx context.Context) (refused int, err error) {
	for err = c.use(ctx); rpc.Reason(err) == "OVERLOADED" && wait.For(ctx, customersPace); err = c.use(ctx) {
		refused = 1
	}
	return refused, err
}

// run uses the daemon until ctx ends, at its pace, however slow the daemon is.
func (c *customer) run(ctx context.Context) {
	var calls sync.WaitGroup
	var mu sync.Mutex
	pace := time.NewTicker(customersPace)
	defer pace.Stop()
	for ctx.Err() == nil {
		calls.Go(func() {
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			began := time.Now()
			refused, err := c.call(bounded)
			mu.Lock()
			defer mu.Unlock()
			c.refused += refused
			c.took = append(c.took, time.Since(began))
			if err != nil {
				c.errs = append(c.errs, err)
			}
		})
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
	calls.Wait()
}

// p99 is what one call in a hundred took longer than.
func (c *customer) p99() time.Duration {
	slices.Sort(c.took)
	return c.took[len(c.took)*99/100]
}
