package console

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	orderv1 "hosho/gen/order/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/reconcile"
	"hosho/internal/slow"
	"hosho/internal/story"
)

// system is a running system, and whom its pages ask.
type system struct {
	*stack.Stack
	orders, payments *pgxpool.Pool
	config           Config
}

func newSystem(t *testing.T) *system {
	t.Helper()
	slow.Test(t, "runs the whole system as processes")
	bin, dir := t.TempDir(), t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) { // the databases may run as another user
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := stack.Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	running, err := stack.Start(t.Context(), stack.Config{Bin: bin, Dir: dir, Relays: 1, Simulate: stack.Simulate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &system{Stack: running, orders: open(t, running.OrdersURL()), payments: open(t, running.PaymentsURL())}
	s.config = Config{Token: aToken, Operator: "ada", Compare: s.compare}
	for service, process := range map[string]*stack.Process{
		story.Orderd: running.Orderd, story.Relay: running.Relays[0], story.Paymentd: running.Paymentd,
	} {
		conn, err := running.Dial(process, "operator")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		s.config.Daemons = append(s.config.Daemons, Daemon{Service: service, Address: process.Name, Conn: conn})
	}
	return s
}

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (s *system) compare(ctx context.Context, o reconcile.Options) (reconcile.Summary, error) {
	return reconcile.Run(ctx, s.orders, s.payments, o)
}

// serve serves the pages of the system as a change of its config has them.
func (s *system) serve(t *testing.T, change func(*Config)) *browser {
	t.Helper()
	config := s.config
	change(&config)
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return &browser{t: t, base: server.URL, cookie: config.Token}
}

// services are the daemons, as the pages ask them.
func (s *system) services(t *testing.T) story.Services {
	t.Helper()
	c, err := New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	return c.services()
}

// place places an order, and waits until it is settled if that is wanted.
func (s *system) place(t *testing.T, amount int64, settled bool) string {
	t.Helper()
	orders := s.services(t).Orders
	reply, err := orders.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{
		CustomerId: "mallory", CurrencyCode: "JPY",
		Items: []*orderv1.Item{{Name: "a lamp", Quantity: 1, UnitPrice: amount}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := reply.GetOrder().GetOrderId()
	eventually(t, "the order is settled", func() bool {
		reply, err := orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: id})
		if err != nil {
			t.Fatal(err)
		}
		return !settled || story.Settled(reply.GetOrder())
	})
	return id
}

// eventually asks again and again, for a minute at most.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !done() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// parked is an order whose key is another payment's: somebody charged it while paymentd was away.
func (s *system) parked(t *testing.T) string {
	t.Helper()
	s.Paymentd.Kill()
	id := s.place(t, 700, false)
	for _, statement := range []string{
		`INSERT INTO payments (id, customer_id, amount_minor, currency, status)
			VALUES ($1, 'eve', 600, 'JPY', 'CHARGED')`,
		`INSERT INTO ledger (payment_id, kind, amount_minor, currency) VALUES ($1, 'CHARGE', 600, 'JPY')`,
	} {
		if _, err := s.payments.Exec(t.Context(), statement, id); err != nil {
			t.Fatal(err)
		}
	}
	s.back(t)
	eventually(t, "the charge is parked", func() bool {
		reply, err := s.services(t).Outbox.ListParked(t.Context(), &relayv1.ListParkedRequest{PageSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(reply.GetCommands(), func(c *relayv1.ParkedCommand) bool {
			return c.GetOrderId() == id
		})
	})
	return id
}

// back starts paymentd once more.
func (s *system) back(t *testing.T) {
	t.Helper()
	if err := s.Paymentd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Paymentd.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, d := range s.config.Daemons { // a connection on which it was killed is tried again in a while
		_, err := healthpb.NewHealthClient(d.Conn).Check(
			t.Context(), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err != nil {
			t.Fatal(err)
		}
	}
}
