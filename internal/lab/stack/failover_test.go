package stack_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/invariant"
	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// The drill. Customers order and cancel while the primary of one database after the other is killed, its standby
// promoted, and the former primary made the standby of the new one. Nobody restarts a daemon: they find the new primary
// among the two hosts of their URLs. Each commit had to be on the standby, so that no acknowledged order is lost, and
// both databases agree about all of them.
func TestNothingIsLostWhenStandbysTakeOver(t *testing.T) {
	t.Parallel()
	slow.Long(t, "fails over again and again, as chaos does by name")
	s := start(t, bin, 2, func(c *stack.Config) { c.Standbys = true })
	pids := s.pids()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	clients := load.New(load.Config{Orders: s.client, Clients: 16, Seed: seed, CancelWithin: 300 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var working sync.WaitGroup
	defer working.Wait()
	defer stop()
	working.Go(func() { clients.Run(ctx, t.Context()) })

	// More than once, the primary is sometimes the first host of the URL, and sometimes the second.
	databases := slices.Repeat([]string{stack.OrdersDatabase, stack.PaymentsDatabase}, slow.Times(1, 6))
	for _, database := range databases {
		if err := clients.AwaitAccepted(t.Context(), clients.Accepted()+100); err != nil {
			t.Fatal(err)
		}
		if err := s.Failover(t.Context(), database); err != nil {
			t.Fatal(err)
		}
		promoted := time.Now()
		s.orders.Reset()
		s.payments.Reset()
		s.paidAgain(t, database)
		t.Logf("%s: an order is paid %v after the promotion", database, time.Since(promoted).Round(time.Millisecond))
		if err := s.Rejoin(t.Context(), database); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	working.Wait()
	s.await(t, "every order is settled", allSettled)

	report := s.agree(t, true)
	wrong, err := clients.Check(t.Context(), s.orders)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	s.noAlarms(t)
	for name, pid := range s.pids() {
		if pid != pids[name] {
			t.Errorf("%s: got process %d, want %d, which nobody had to restart", name, pid, pids[name])
		}
	}
	t.Logf("%d orders acknowledged; orders: %s; payments: %s", clients.Accepted(), invariant.Line(report.Orders),
		invariant.Line(report.Payments))
}

// paidAgain waits until an order has been completed that was placed after the promotion.
func (s *system) paidAgain(t *testing.T, database string) {
	t.Helper()
	var since time.Time
	if err := s.orders.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&since); err != nil {
		t.Fatal(err)
	}
	s.await(t, "an order is paid after "+database+" has failed over",
		`SELECT EXISTS (SELECT FROM orders WHERE created_at > $1 AND status = 'COMPLETED')`, since)
}

func (s *system) pids() map[string]int {
	pids := map[string]int{}
	for _, p := range s.Daemons() {
		pids[p.Name] = p.Pid()
	}
	return pids
}

// A primary is told to take no writes any more, as before a planned change, and its connections live on. Who orders is
// refused, the daemons are not ready and say why, and when it takes writes again everything goes on by itself.
func TestAPrimaryThatBecomesReadOnly(t *testing.T) {
	t.Parallel()
	slow.Long(t, "waits until every daemon has found out; package pg refuses such a primary")
	s := start(t, bin, 1, func(c *stack.Config) { c.Durable = false })
	s.place(t, 1200)
	readOnly := func(setting string) {
		t.Helper()
		for _, server := range []string{s.Orders.URL("postgres"), s.Payments.URL("postgres")} {
			execute(t, server, `ALTER SYSTEM `+setting, `SELECT pg_reload_conf()`)
		}
	}
	readOnly(`SET default_transaction_read_only = on`)
	for _, p := range s.Daemons() {
		awaitLog(t, p, "default_transaction_read_only: got on, want off")
	}
	_, err := s.client.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{
		CustomerId: "test", CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 1200}},
	})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("an order meanwhile: got %v, want UNAVAILABLE", err)
	}
	readOnly(`RESET default_transaction_read_only`)
	for _, p := range s.Daemons() {
		if err := p.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.place(t, 1200)
	s.await(t, "every order is settled", allSettled)
	if report := s.agree(t, true); report.Orders["COMPLETED"] != 2 {
		t.Errorf("got orders %v, want 2 COMPLETED", report.Orders)
	}
	s.noAlarms(t)
}
