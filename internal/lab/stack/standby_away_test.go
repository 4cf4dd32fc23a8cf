package stack_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/internal/slow"
)

// The standby of the orders database is away, and 64 customers go on ordering. Whoever has time is told that the
// outcome is unknown, and whoever comes when every COMMIT waits is refused at once. Nobody sees an order that is on one
// server only, the relay claims nothing, and the server has no more connections than twice each pool. When the standby
// is back, all of it goes on. A daemon that is stopped meanwhile stops.
func TestAStandbyThatIsAway(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs four servers and 64 customers, and internal/pg has the single COMMIT")
	s := start(t, bin, 2, func(c *stack.Config) { c.Standbys = true })
	s.place(t, 600)
	s.await(t, "the first order is settled", allSettled)
	const orders = `SELECT count(*) FROM orders`
	before := s.number(t, orders)

	s.OrdersStandby.Kill()
	customers := s.orderWhileAway(t)
	away := time.After(time.Duration(slow.Times(0, 60)) * time.Second)
	s.await(t, "every COMMIT that may waits", waitingOf, "orderd", pg.DefaultMaxConns)
	for customers.unknown.Load() == 0 || customers.refused.Load() == 0 {
		s.boundedConnections(t)
	}
	for waiting := true; waiting; {
		s.boundedConnections(t)
		select {
		case <-away:
			waiting = false
		default:
		}
	}
	if now := s.number(t, orders); now != before || customers.accepted.Load() > 0 {
		t.Errorf("got %d orders that others see, and %d accepted, want %d and none",
			now, customers.accepted.Load(), before)
	}

	if err := s.OrdersStandby.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	s.await(t, "an order is accepted", `SELECT count(*) > $1 FROM orders`, before+pg.DefaultMaxConns)
	t.Logf("orders are accepted %v after the standby is back", time.Since(back).Round(time.Millisecond))
	customers.leave()
	s.await(t, "every order is settled", allSettled)
	s.agree(t, true)

	s.OrdersStandby.Kill()
	customers = s.orderWhileAway(t)
	s.await(t, "every COMMIT that may waits", waitingOf, "orderd", pg.DefaultMaxConns)
	var stopping sync.WaitGroup
	for _, daemon := range s.Daemons() {
		stopping.Go(func() {
			told := time.Now()
			if err := daemon.Stop(); err != nil {
				t.Error(err)
			}
			t.Logf("%s stops in %v", daemon.Name, time.Since(told).Round(time.Millisecond))
		})
	}
	stopping.Wait()
	customers.leave()
	if err := s.OrdersStandby.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.agree(t, false)
}

// waitingOf is whether so many COMMITs of a daemon wait for the standby.
const waitingOf = `
	SELECT count(*) >= $2
	FROM pg_stat_activity
	WHERE application_name = $1 AND wait_event = 'SyncRep'`

func (s *system) number(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	if err := s.orders.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// boundedConnections checks that no daemon has more than its pools, and as many that wait for the standby.
func (s *system) boundedConnections(t *testing.T) {
	t.Helper()
	for daemon, processes := range map[string]int{"orderd": 1, "relay": len(s.Relays)} {
		for pool, most := range map[string]int{
			"": 2 * pg.DefaultMaxConns, " reads": pg.DefaultMaxConns / 2, " readiness": 1, " listener": 1,
		} {
			got := s.number(t, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1`, daemon+pool)
			if got > most*processes {
				t.Fatalf("got %d connections of %s, want %d at most", got, daemon+pool, most*processes)
			}
		}
	}
}

// crowd is customers who order one thing after the other.
type crowd struct {
	accepted, unknown, refused atomic.Int64
	leave                      func() // and waits until all have
}

// orderWhileAway has 64 customers order. Half of them have a second of patience, so that COMMITs are left to
// themselves.
func (s *system) orderWhileAway(t *testing.T) *crowd {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &crowd{}
	var ordering sync.WaitGroup
	c.leave = func() {
		stop()
		ordering.Wait()
	}
	t.Cleanup(c.leave)
	for n := range 64 {
		ordering.Go(func() {
			for ctx.Err() == nil {
				patience := time.Minute
				if n%2 == 0 {
					patience = time.Second
				}
				c.order(ctx, t, s.client, patience)
			}
		})
	}
	return c
}

func (c *crowd) order(ctx context.Context, t *testing.T, client orderv1.OrderServiceClient, patience time.Duration) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := client.CreateOrder(bounded, &orderv1.CreateOrderRequest{
		CustomerId: "test", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
	})
	switch code, reason := status.Code(err), rpc.Reason(err); {
	case err == nil:
		c.accepted.Add(1)
	case code == codes.Unavailable && reason == "COMMIT_UNKNOWN":
		c.unknown.Add(1)
	case code == codes.Unavailable, reason == "OVERLOADED":
		c.refused.Add(1)
		select { // a client does not knock for all it is worth
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	case code == codes.DeadlineExceeded || code == codes.Canceled:
	default:
		t.Errorf("got %v, want it refused or unknown", err)
	}
}
