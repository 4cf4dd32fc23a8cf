package stack_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/measured"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// Orders of every kind, and an outage of paymentd: each metric moves as it should, and what is counted is what the
// tables hold (I22).
func TestMetricsEqualTables(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes: chaos compares the same")
	s := start(t, bin, 2, func(c *stack.Config) {
		c.Admin = true
		c.Env = append(c.Env, "RELAY_MAX_ATTEMPTS=2", "RELAY_BREAKER_STREAK=2")
	})
	before := s.measure(t)
	if got := before.Counts(before); len(got) != 0 {
		t.Fatalf("nothing has moved, and got %v", got)
	}

	s.place(t, 500)
	s.place(t, 9996) // declined
	s.place(t, 9997) // hangs: given up
	s.place(t, 9998) // charged, and the reply is lost
	s.place(t, 9999) // fails: given up
	paid := s.place(t, 700)
	s.await(t, "an order is paid", `SELECT status = 'COMPLETED' FROM orders WHERE id = $1`, paid)
	s.cancelOrder(t, paid)
	s.requests(t)
	s.await(t, "all orders are settled", allSettled)
	quiet := s.agrees(t, before)
	for _, want := range []moved{
		{"hosho_orders_created_total", 7, []string{`result="new"`}},
		{"hosho_orders_created_total", 1, []string{`result="repeated"`}},
		{"hosho_orders_created_total", 2, []string{`result="refused"`}},
		{"hosho_orders_created_total", 0, []string{`result="failed"`}},
		{"hosho_orders_left_total", 4, []string{`from="PENDING"`, `to="COMPLETED"`, `reason="none"`}},
		{"hosho_orders_left_total", 1, []string{`from="PENDING"`, `to="CANCELLED"`, `reason="PAYMENT_DECLINED"`}},
		{"hosho_orders_left_total", 2, []string{`from="PENDING"`, `to="CANCELLING"`, `reason="PAYMENT_FAILED"`}},
		{"hosho_orders_left_total", 1, []string{`from="COMPLETED"`, `to="CANCELLING"`, `reason="CUSTOMER"`}},
		{"hosho_order_settle_seconds_count", 4, []string{`outcome="completed"`}},
		{"hosho_order_settle_seconds_count", 3, []string{`outcome="cancelled"`}},
		{"hosho_payments_decided_total", 1, []string{`status="DECLINED"`, `reason="INSUFFICIENT_FUNDS"`}},
		{"hosho_payments_decided_total", 1, []string{`kind="VOID"`, `status="REFUNDED"`}},
		{"hosho_payments_decided_total", 2, []string{`kind="VOID"`, `status="VOIDED"`}},
		{"hosho_ledger_minor_total", 700, []string{`currency="JPY"`, `entry="REFUND"`}},
		{"hosho_payment_conflicts_total", 0, nil},
		{"hosho_alarms_total", 0, nil},
		{"hosho_deliveries_total", 8, []string{`means="decided"`}},
	} {
		want.check(t, quiet, before)
	}
	for _, some := range []moved{
		{"hosho_deliveries_total", 3, []string{`means="ambiguous"`, `kind="CHARGE"`}},
		{"hosho_deliveries_retried_total", 3, []string{`kind="CHARGE"`}},
		{"hosho_payments_repeated_total", 1, []string{`kind="CHARGE"`}},
		{"hosho_outbox_wait_seconds_count", 7, []string{`kind="CHARGE"`}},
		{"hosho_outbox_wait_seconds_count", 3, []string{`kind="VOID"`}},
		{"hosho_outbox_claim_seconds_count", 2, []string{`kind="CHARGE"`}},
		{"hosho_outbox_claim_size_sum", 7, []string{`kind="CHARGE"`}},
		{"hosho_delivery_seconds_count", 10, nil},
		{"hosho_settle_seconds_count", 2, nil},
		{"hosho_settle_size_sum", 10, nil},
	} {
		some.checkLeast(t, quiet, before)
	}

	s.Paymentd.Kill() // with nothing in hand
	s.place(t, 500)
	s.cancelOrder(t, s.place(t, 600))
	for n := range int64(3) {
		s.place(t, 510+n)
	}
	down := s.awaitMeasured(t, "a breaker is open", func(r measured.Reading) bool {
		return r.Now("hosho_breaker_open", `kind="CHARGE"`) > 0
	})
	moved{"hosho_deliveries_total", 2, []string{`means="blocked"`, `kind="CHARGE"`}}.checkLeast(t, down, quiet)
	moved{"hosho_payments_decided_total", 0, []string{`kind="CHARGE"`}}.check(t, down, quiet)
	if err := s.Paymentd.Start(); err != nil {
		t.Fatal(err)
	}
	s.await(t, "all orders are settled", allSettled)
	s.agrees(t, quiet)
	s.awaitMeasured(t, "the breakers are closed", func(r measured.Reading) bool {
		return r.Now("hosho_breaker_open") == 0
	})
}

// requests sends one order twice, and two that are refused.
func (s *system) requests(t *testing.T) {
	t.Helper()
	once := &orderv1.CreateOrderRequest{
		CustomerId: "test", CurrencyCode: "EUR", RequestId: proto.String("r-1"),
		Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
	}
	other, wrong := proto.CloneOf(once), proto.CloneOf(once)
	other.Items[0].UnitPrice, wrong.Items = 700, nil
	for _, r := range []*orderv1.CreateOrderRequest{once, once, other, wrong} {
		if _, err := s.client.CreateOrder(t.Context(), r); (err == nil) != (r == once) {
			t.Errorf("%v: got error %v, want one: %t", r, err, r != once)
		}
	}
}

func (s *system) cancelOrder(t *testing.T, id string) {
	t.Helper()
	if _, err := s.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
		t.Fatal(err)
	}
}

// measure reads the metrics of the daemons that live, and the tables.
func (s *system) measure(t *testing.T) measured.Reading {
	t.Helper()
	all := measured.System{Orders: s.orders, Payments: s.payments}
	for _, p := range s.Daemons() {
		select {
		case <-p.Exited():
		default:
			all.Daemons = append(all.Daemons, measured.Daemon{Name: p.Name, Address: p.AdminAddress})
		}
	}
	r, err := all.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *system) awaitMeasured(t *testing.T, what string, done func(measured.Reading) bool) measured.Reading {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	over := time.After(time.Minute)
	for {
		r := s.measure(t)
		if done(r) {
			return r
		}
		select {
		case <-poll.C:
		case <-over:
			t.Fatalf("it is not so that %s", what)
		}
	}
}

// agrees waits until nothing that is counted since, or told of the present, is other than in the tables.
func (s *system) agrees(t *testing.T, since measured.Reading) measured.Reading {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	over := time.After(time.Minute)
	for {
		r := s.measure(t)
		differences := append(r.Counts(since), r.Gauges()...)
		if len(differences) == 0 {
			return r
		}
		select {
		case <-poll.C:
		case <-over:
			for _, d := range differences {
				t.Error(d)
			}
			t.FailNow()
		}
	}
}

// moved is by how much a metric is to move, over the labels that are not given.
type moved struct {
	metric string
	by     float64
	labels []string
}

func (m moved) check(t *testing.T, now, since measured.Reading) {
	t.Helper()
	if got := now.Since(since, m.metric, m.labels...); got != m.by {
		t.Errorf("%s%q: moved by %v, want %v", m.metric, m.labels, got, m.by)
	}
}

func (m moved) checkLeast(t *testing.T, now, since measured.Reading) {
	t.Helper()
	if got := now.Since(since, m.metric, m.labels...); got < m.by {
		t.Errorf("%s%q: moved by %v, want %v at least", m.metric, m.labels, got, m.by)
	}
}
