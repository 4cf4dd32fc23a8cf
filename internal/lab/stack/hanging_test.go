package stack_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/proxy"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

const hangs = 9997 // the amount whose charge the simulated card network never answers

// usualPace is that of production where there is time for it, and a few times faster elsewhere.
func usualPace(c *stack.Config) {
	c.Env = nil
	if slow.Times(0, 1) == 0 {
		c.Env = append(c.Env, "PAYMENTD_CARD_TIMEOUT=200ms", "RELAY_CALL_TIMEOUT=1s", "RELAY_BACKOFF_CAP=100ms")
	}
}

// flow places ordinary orders, one after the other, until something has happened.
func (s *system) flow(t *testing.T, until func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !until(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("waited two minutes in vain")
		}
		s.place(t, 500)
	}
}

func (s *system) count(t *testing.T, query string) (n int) {
	t.Helper()
	if err := s.orders.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// seconds returns a time that a query selects.
func (s *system) seconds(t *testing.T, query string) (seconds float64) {
	t.Helper()
	if err := s.orders.QueryRow(t.Context(), query).Scan(&seconds); err != nil {
		t.Fatal(err)
	}
	return seconds
}

const (
	cancelledInAll = `SELECT count(*) FROM orders WHERE status = 'CANCELLED'`
	slowestCancel  = `
		SELECT coalesce(extract(epoch FROM max(updated_at - created_at)), 0)::float8
		FROM orders
		WHERE status = 'CANCELLED'`
	ordinaryP99 = `
		SELECT coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM updated_at - created_at)), 0)
		FROM orders
		WHERE status = 'COMPLETED'`
)

// Orders whose charges hang come all at once. Each is given up as soon as its attempts are spent, beside ordinary ones
// and with nothing beside them, and the ordinary ones do not notice.
func TestHangingOrdersAreGivenUpAndDelayNobody(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	for name, ordinary := range map[string]bool{"beside ordinary ones": true, "with nothing beside them": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !ordinary {
				slow.Long(t, "waits for attempts to be spent")
			}
			s := start(t, bin, 2, usualPace)
			n := slow.Times(20, 100)
			for range n {
				s.place(t, hangs)
			}
			if ordinary {
				s.flow(t, func() bool { return s.count(t, cancelledInAll) == n })
			}
			s.await(t, "all are settled", allSettled)
			s.agree(t, true)
			s.noAlarms(t)
			if got := s.count(t, cancelledInAll); got != n {
				t.Errorf("got %d orders CANCELLED, want the %d that hang", got, n)
			}
			cancel, p99 := s.seconds(t, slowestCancel), s.seconds(t, ordinaryP99)
			t.Logf("%d hanging orders: the last CANCELLED after %.1f s; p99 of ordinary ones %.3f s", n, cancel, p99)
			if limit := map[bool]float64{true: 30, false: 60}[ordinary]; cancel > limit || p99 > 1 {
				t.Errorf("got the slowest CANCELLED after %.1f s and p99 %.3f s of ordinary ones, want %.0f s and 1 s",
					cancel, p99, limit)
			}
		})
	}
}

// A tenth of the orders hangs, for as long as there are orders, and the card network's time is not bounded: paymentd
// says nothing about them at all. They do not pile up.
func TestATenthOfHangingOrdersDoesNotPileUp(t *testing.T) {
	t.Parallel()
	slow.Long(t, "places orders for a minute")
	s := start(t, bin, 2, func(c *stack.Config) { c.Env = []string{"PAYMENTD_CARD_TIMEOUT=0"} })
	tick := time.NewTicker(125 * time.Millisecond)
	defer tick.Stop()
	worst := 0
	for n := range 8 * 60 {
		amount := int64(500)
		if n%10 == 0 {
			amount = hangs
		}
		s.place(t, amount)
		if n > 8*30 {
			worst = max(worst, s.count(t, `SELECT count(*) FROM orders WHERE status IN ('PENDING', 'CANCELLING')`))
		}
		<-tick.C
	}
	t.Logf("%d orders under way at worst in the second half of a minute", worst)
	if worst > 30 { // 0.8 a second, for some 20 s each
		t.Errorf("got %d orders under way, want no more than hang at a time", worst)
	}
	// The last that hang need neighbours: with nothing beside them and no bound on the card network's time they are a
	// blackhole, which gives nobody up before its deadline.
	hanging := 8 * 60 / 10
	s.flow(t, func() bool { return s.count(t, cancelledInAll) >= hanging })
	s.await(t, "all are settled", allSettled)
	s.agree(t, true)
	if got := s.count(t, cancelledInAll); got != hanging {
		t.Errorf("got %d orders CANCELLED, want the %d that hang", got, hanging)
	}
}

// outage takes something away that paymentd needs, and returns how that is given back.
type outage func(t *testing.T, s *system, link *proxy.Proxy) (heal func())

func lockedTable(t *testing.T, s *system, _ *proxy.Proxy) func() {
	tx, err := s.payments.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE payments IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

func frozenPaymentd(_ *testing.T, s *system, _ *proxy.Proxy) func() {
	s.Paymentd.Signal(syscall.SIGSTOP)
	return func() { s.Paymentd.Signal(syscall.SIGCONT) }
}

func blackhole(_ *testing.T, _ *system, link *proxy.Proxy) func() {
	link.Set(proxy.Link{StallUp: true, StallDown: true})
	return func() { link.Set(proxy.Link{}) }
}

// paymentd answers nobody for a minute, in each of three ways, and orders go on coming. None of them is cancelled for
// it, though two attempts would be enough.
func TestAnOutageInWhichNobodyIsAnsweredCancelsNobody(t *testing.T) {
	t.Parallel()
	slow.Long(t, "is an outage of a minute")
	for name, begin := range map[string]outage{
		"a locked table": lockedTable, "a frozen paymentd": frozenPaymentd, "a blackhole": blackhole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var link *proxy.Proxy
			s := start(t, bin, 1, func(c *stack.Config) {
				c.Env = []string{"PAYMENTD_CARD_TIMEOUT=0", "RELAY_MAX_ATTEMPTS=2"}
				c.Route = func(from, to, address string) (string, error) {
					if from != "relay" || to != "paymentd" {
						return address, nil
					}
					var err error
					if link, err = proxy.Listen(address); err != nil {
						return "", err
					}
					t.Cleanup(func() { link.Close() })
					return link.Address(), nil
				}
			})
			s.flow(t, func() bool { return s.count(t, `SELECT count(*) FROM orders WHERE status = 'COMPLETED'`) > 20 })
			heal := begin(t, s, link)
			end := time.Now().Add(time.Minute)
			s.flow(t, func() bool { return time.Now().After(end) })
			heal()
			s.flow(t, func() bool { return s.count(t, `SELECT count(*) FROM outbox`) < 10 })
			s.await(t, "all are settled", allSettled)
			s.agree(t, true)
			if got := s.count(t, `SELECT count(*) FROM orders WHERE status <> 'COMPLETED'`); got != 0 {
				t.Errorf("got %d orders that are not COMPLETED, want none", got)
			}
		})
	}
}

// The card network answers nobody for a minute, and paymentd says so of each order. Where the breaker opens for such
// answers, it costs no more orders than its streak.
func TestACardNetworkThatAnswersNobodyCostsAStreakOfOrders(t *testing.T) {
	t.Parallel()
	slow.Long(t, "is an outage of a minute")
	const streak = 20
	s := start(t, bin, 2, func(c *stack.Config) { c.Env = []string{"RELAY_BREAKER_AMBIGUOUS_STREAK=20"} })
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		s.place(t, hangs)
	}
	if got := s.count(t, `SELECT count(*) FROM orders WHERE status <> 'PENDING'`); got > streak {
		t.Errorf("got %d orders given up, want %d at most", got, streak)
	}
}
