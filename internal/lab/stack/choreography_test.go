package stack_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/lab/invariant"
	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// byBroker has the saga travel by a broker, and by it alone: the relay is told of no paymentd that it could call.
func byBroker(kind string) func(*stack.Config) {
	return func(c *stack.Config) {
		c.Transport = kind
		c.Env = append(c.Env[:len(c.Env):len(c.Env)], "RELAY_PAYMENT_TARGET=127.0.0.1:1", "PAYMENTD_CARD_TIMEOUT=300ms")
	}
}

// Over a broker an order of each amount ends as it does over calls, also one that is cancelled, and where paymentd dies
// meanwhile.
func TestOverABrokerEachOrderEndsAsItMust(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	brokertest.Each(t, func(t *testing.T, kind string) {
		s := start(t, bin, 1, byBroker(kind))
		ends := map[string]string{
			s.place(t, 1200): "COMPLETED CHARGED",
			s.place(t, 9999): "CANCELLED VOIDED",   // INTERNAL, every time
			s.place(t, 9998): "COMPLETED CHARGED",  // made, and nobody is told
			s.place(t, 9997): "CANCELLED VOIDED",   // hangs, every time
			s.place(t, 9996): "CANCELLED DECLINED", // declined
		}
		s.Paymentd.Kill()
		if err := s.Paymentd.Start(); err != nil {
			t.Fatal(err)
		}
		early, late := s.place(t, 9997), s.place(t, 2500)
		s.cancel(t, early)
		ends[early] = "CANCELLED VOIDED"
		s.await(t, "an order is paid", `SELECT status = 'COMPLETED' FROM orders WHERE id = $1`, late)
		s.cancel(t, late)
		ends[late] = "CANCELLED REFUNDED"
		s.await(t, "every order is settled", allSettled)
		for id, want := range ends {
			if got := s.ending(t, id); got != want {
				t.Errorf("order %s: got %s, want %s", id, got, want)
			}
		}
		s.agree(t, true)
		s.noAlarms(t)
	})
}

func (s *system) cancel(t *testing.T, id string) {
	t.Helper()
	if _, err := s.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
		t.Fatal(err)
	}
}

// ending returns the status of an order, and that of its payment.
func (s *system) ending(t *testing.T, id string) string {
	t.Helper()
	var order, payment string
	if err := s.orders.QueryRow(t.Context(), `SELECT status FROM orders WHERE id = $1`, id).Scan(&order); err != nil {
		t.Fatal(err)
	}
	err := s.payments.QueryRow(t.Context(), `SELECT status FROM payments WHERE id = $1`, id).Scan(&payment)
	if err != nil {
		t.Fatal(err)
	}
	return order + " " + payment
}

// Customers order and cancel while the relays, paymentd and the broker are killed, one after the other and all at once.
func TestOverABrokerNothingIsLostWhenEachIsKilled(t *testing.T) {
	t.Parallel()
	slow.Test(t, "kills real processes")
	brokertest.Each(t, func(t *testing.T, kind string) {
		s := start(t, bin, 2, byBroker(kind))
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		clients := load.New(load.Config{Orders: s.client, Clients: 8, Seed: seed, CancelWithin: 300 * time.Millisecond})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var working sync.WaitGroup
		working.Go(func() { clients.Run(ctx, t.Context()) })
		for range slow.Times(1, 20) {
			s.killInTurn(t, clients)
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
		t.Logf("%d orders acknowledged; orders: %s; payments: %s", clients.Accepted(),
			invariant.Line(report.Orders), invariant.Line(report.Payments))
		if report.Orders["COMPLETED"] == 0 || report.Orders["CANCELLED"] == 0 {
			t.Errorf("got orders %v, want some COMPLETED and some CANCELLED", report.Orders)
		}
	})
}

// killInTurn kills each that the saga needs, and then all of them, and has orders come in while they are away.
func (s *system) killInTurn(t *testing.T, clients *load.Load) {
	t.Helper()
	const some = 20
	away := func() {
		t.Helper()
		if err := clients.AwaitAccepted(t.Context(), clients.Accepted()+some); err != nil {
			t.Fatal(err)
		}
	}
	start := func(daemons ...*stack.Process) {
		t.Helper()
		for _, daemon := range daemons {
			if err := daemon.Start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, victim := range []*stack.Process{s.Relays[0], s.Paymentd} {
		away()
		victim.Kill()
		away()
		start(victim)
	}
	away()
	s.Broker.Kill()
	away()
	if err := s.Broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	away()
	all := append([]*stack.Process{s.Paymentd}, s.Relays...)
	for _, victim := range all {
		victim.Kill()
	}
	s.Broker.Kill()
	start(all...) // which have to wait for the broker
	away()
	if err := s.Broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	away()
}
