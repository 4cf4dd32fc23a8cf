package stack_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/failpoint"
	"hosho/internal/lab/invariant"
	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// Customers order and cancel while every process dies again and again, each time at another of its failpoints: between
// two writes, after a commit that nobody was told of, with a reply in hand. Afterwards no acknowledged order is lost,
// and both databases agree about all of them.
func TestNothingIsLostWhenProcessesDieUnderLoad(t *testing.T) {
	t.Parallel()
	deaths := slow.Times(6, 53) // of each daemon, which is one at each of its points, or more
	s := start(t, mortal, 2)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	clients := load.New(load.Config{Orders: s.client, Clients: 32, Seed: seed, CancelWithin: 300 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var working sync.WaitGroup
	working.Go(func() { clients.Run(ctx, t.Context()) })

	group, dying := errgroup.WithContext(t.Context())
	for _, victim := range s.Daemons() {
		group.Go(func() error { return s.dieAgainAndAgain(dying, victim, deaths, clients) })
	}
	died := make(chan error)
	go func() { died <- group.Wait() }()
	for look := time.NewTicker(5 * time.Second); ; {
		select {
		case <-look.C:
			s.agree(t, false) // a running system raises no false alarm
			continue
		case err := <-died:
			if err != nil {
				t.Fatal(err)
			}
		}
		break
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
	t.Logf("%d deaths, %d orders acknowledged; orders: %s; payments: %s", deaths*len(s.Daemons()), clients.Accepted(),
		invariant.Line(report.Orders), invariant.Line(report.Payments))
	if report.Orders["COMPLETED"] == 0 || report.Orders["CANCELLED"] == 0 {
		t.Errorf("got orders %v, want some COMPLETED and some CANCELLED", report.Orders)
	}
}

// dieAgainAndAgain has a daemon die so often, at one of its failpoints after the other, each time when some more orders
// were accepted.
func (s *system) dieAgainAndAgain(ctx context.Context, victim *stack.Process, times int, clients *load.Load) error {
	binary, _, _ := strings.Cut(victim.Name, "-")
	points := failpoint.Points[binary]
	for n := range times {
		if err := clients.AwaitAccepted(ctx, clients.Accepted()+int64(n%10)); err != nil {
			return err
		}
		point := points[n%len(points)]
		if err := victim.Arm(string(point) + "=kill"); err != nil {
			return err
		}
		select {
		case <-victim.Exited():
		case <-time.After(time.Minute):
			return fmt.Errorf("%s did not come by %s in a minute", victim.Name, point)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := errors.Join(victim.Arm(""), victim.Start()); err != nil {
			return err
		}
	}
	return nil
}

// A relay claims orders, sends their charges to a paymentd that is frozen, and is killed. The next relay takes the
// claims over when their leases end.
func TestKilledRelayLeavesItsClaimsToTheNext(t *testing.T) {
	t.Parallel()
	const orders = 20
	s := start(t, bin, 1)
	s.Paymentd.Signal(syscall.SIGSTOP)
	for range orders {
		s.place(t, 1200)
	}
	s.await(t, "the relay holds every order", holdsAll, orders)
	s.Relays[0].Kill()
	killed := time.Now()
	s.Paymentd.Signal(syscall.SIGCONT)
	if err := s.Relays[0].Start(); err != nil {
		t.Fatal(err)
	}
	s.await(t, "every order is settled", allSettled)
	t.Logf("relay killed with %d claims: settled after %v, lease %v", orders,
		time.Since(killed).Round(time.Millisecond), lease)
	if report := s.agree(t, true); report.Orders["COMPLETED"] != orders {
		t.Errorf("got orders %v, want %d COMPLETED", report.Orders, orders)
	}
}

// paymentd is down, and stays down until the relay has found out and probes it. Orders wait meanwhile: an outage
// cancels none of them.
func TestOrdersWaitWhilePaymentdIsDown(t *testing.T) {
	slow.Long(t, "has a whole system wait for paymentd, as that of the metrics does with fewer orders")
	t.Parallel()
	const orders = 40
	s := start(t, bin, 1)
	s.Paymentd.Kill()
	for range orders {
		s.place(t, 1200)
	}
	s.await(t, "five orders were tried and three of them again", `
		SELECT count(*) FILTER (WHERE claims > 0) >= 5 AND sum(claims) >= 8 FROM outbox`)
	report := s.agree(t, false)
	if report.Orders["PENDING"] != orders {
		t.Errorf("got orders %v while paymentd is down, want %d PENDING", report.Orders, orders)
	}
	if err := s.Paymentd.Start(); err != nil {
		t.Fatal(err)
	}
	s.await(t, "every order is settled", allSettled)
	if report := s.agree(t, true); report.Orders["COMPLETED"] != orders {
		t.Errorf("got orders %v, want %d COMPLETED", report.Orders, orders)
	}
}

// One order after the other, on a system that has nothing else to do. The figures are printed, not judged.
func TestLatencyOfAnIdleSystem(t *testing.T) {
	slow.Long(t, "prints figures and judges none")
	const orders = 200
	s := start(t, bin, 1)
	var took []time.Duration
	for range orders {
		begin := time.Now()
		id := s.place(t, 1200)
		watch, err := s.client.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{OrderId: id})
		if err != nil {
			t.Fatal(err)
		}
		var last orderv1.Order_Status
		for {
			reply, err := watch.Recv()
			if err != nil {
				break
			}
			last = reply.GetOrder().GetStatus()
		}
		if last != orderv1.Order_STATUS_COMPLETED {
			t.Fatalf("order %s: got %v, want COMPLETED", id, last)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("create -> settled, one at a time: p50 %v, p99 %v, max %v", took[orders/2], took[orders*99/100],
		took[orders-1])
}
