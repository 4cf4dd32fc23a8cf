package main

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
	"hosho/relay/internal/dispatch"
)

// ledger is a bank with paymentd's own tables, on a database of its own.
type ledger struct {
	db    *pgtest.Database
	store *paymentdb.Store
}

func newLedger(t testing.TB) *ledger {
	db := pgtest.Payments(t)
	return &ledger{db, paymentdb.New(db.Pool)}
}

func (l *ledger) carryOut(ctx context.Context, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	want := asked(c)
	request := payment.Request{
		ID: want.GetPaymentId(), CustomerID: want.GetCustomerId(),
		AmountMinor: want.GetAmount().GetAmountMinor(), Currency: want.GetAmount().GetCurrencyCode(),
	}
	var results []paymentdb.Result
	var err error
	if charge := c.GetCharge(); charge != nil {
		results, err = l.store.Charge(ctx, []payment.Authorisation{{
			Charge:  payment.Charge{Request: request, NotAfter: charge.GetNotAfter().AsTime()},
			Verdict: payment.Verdict{Approved: true},
		}})
	} else {
		results, err = l.store.Void(ctx, []payment.Request{request})
	}
	if err != nil || results[0].Err != nil {
		return nil, failure(codes.Internal, "", 0)
	}
	p := results[0].Payment
	return &paymentv1.Payment{
		PaymentId: p.ID, CustomerId: p.CustomerID,
		Amount: &moneyv1.Money{CurrencyCode: p.Currency, AmountMinor: p.AmountMinor},
		Status: wireStatus[p.Status], CreateTime: timestamppb.New(p.CreatedAt),
	}, nil
}

// withLedger makes a system whose peer has the real tables of the payment service.
func withLedger(t testing.TB) (*system, *ledger) {
	t.Helper()
	l := newLedger(t) // first: it must outlive the system's peer
	s := newSystemDown(t)
	s.peer.bank = l
	s.peer.start()
	return s, l
}

// agrees waits until the outbox is empty, and checks that the ledger holds exactly one charge for each order, and a
// refund as well for those that are CANCELLED.
func (l *ledger) agrees(s *system, orders []order.Order) {
	s.t.Helper()
	s.hurryUntil("the outbox is empty", func() bool { return s.count(`SELECT count(*) FROM outbox`) == 0 })
	for _, o := range orders {
		var charges, refunds int
		err := l.db.Pool.QueryRow(s.t.Context(), `
			SELECT count(*) FILTER (WHERE kind = 'CHARGE'), count(*) FILTER (WHERE kind = 'REFUND')
			FROM ledger
			WHERE payment_id = $1`, o.ID).Scan(&charges, &refunds)
		if err != nil {
			s.t.Fatal(err)
		}
		is := s.get(o.ID).Status
		wantRefunds := 0
		if is == order.Cancelled {
			wantRefunds = 1
		}
		if !is.Settled() || charges != 1 || refunds != wantRefunds {
			s.t.Errorf("order %s is %s: got %d charges and %d refunds, want 1 and %d",
				o.ID, is, charges, refunds, wantRefunds)
		}
	}
}

// A relay claims commands and is killed before it delivers any. When its leases are over another relay has them; that
// the dead one comes back and gives up its old claims then moves nothing.
func TestARelayKilledAfterItsClaim(t *testing.T) {
	t.Parallel()
	s, l := withLedger(t)
	orders := s.placeMany(20)
	dead := outbox.NewQueue(s.db.Pool, orderdb.Outbox, string(order.Charge), 50*time.Millisecond)
	claimed, err := dead.Claim(t.Context(), 100, 0)
	if err != nil || len(claimed) != len(orders) {
		t.Fatalf("got %d commands (%v), want %d", len(claimed), err, len(orders))
	}
	told := make(chan struct{})
	for _, o := range orders {
		s.peer.script(o.ID, order.Charge, holds(told))
	}
	s.relay()
	eventually(t, "another relay has the commands", func() bool { return len(s.peer.all()) == len(orders) })
	if err := dead.Release(t.Context(), claimed); err != nil {
		t.Fatal(err)
	}
	if got := s.count(`SELECT count(*) FROM outbox WHERE lease_token IS NOT NULL AND claims = 2`); got != len(orders) {
		t.Errorf("got %d commands leased to the living relay, want %d: the dead one's token is worth nothing",
			got, len(orders))
	}
	close(told)
	l.agrees(s, orders)
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
}

// A relay is killed after paymentd charged and before it could write that down. The customer cancels before the next
// relay comes: the money goes back.
func TestARelayKilledAfterTheCharge(t *testing.T) {
	t.Parallel()
	s, l := withLedger(t)
	orders := s.placeMany(10)
	dead := dispatch.New(paymentClient(t, s), dispatch.Config{
		Timeout: longWait, Batch: 100, Trust: (&trust{store: s.store, log: s.logger()}).judge,
		Registry: prometheus.NewRegistry(),
	})
	queue := outbox.NewQueue(s.db.Pool, orderdb.Outbox, string(order.Charge), 50*time.Millisecond)
	claimed, err := queue.Claim(t.Context(), 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancel(t.Context())
	reports := make(chan outbox.Report, len(claimed))
	dead.Deliver(ctx, claimed, func(r outbox.Report) { reports <- r })
	for range claimed {
		if r := <-reports; r.Result != outbox.Decided {
			t.Fatalf("got %s (%s), want decided", r.Result, r.Code)
		}
	}
	kill()
	dead.Close()
	for _, o := range orders[:5] {
		if _, _, err := s.store.Cancel(t.Context(), o.ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.relay()
	l.agrees(s, orders)
	for i, o := range orders {
		want := order.Completed
		if i < 5 {
			want = order.Cancelled
		}
		s.await(o.ID, want)
	}
}

// Two relays, and a lease so short that it is over before a call is: between them they have every command in flight
// more than once, and apply each answer that they hear. Each order still comes to one charge, and to one change of
// status.
func TestTwoRelaysOnTheSameCommands(t *testing.T) {
	t.Parallel()
	s, l := withLedger(t)
	orders := s.placeMany(30)
	told := make(chan struct{})
	for _, o := range orders {
		s.peer.script(o.ID, order.Charge, holds(told), holds(told), holds(told))
	}
	short := func(p *pace) { p.Lease, p.UnsafeShortLease = 100*time.Millisecond, true }
	first, second := s.relay(short), s.relay(short)
	eventually(t, "every command is in flight twice", func() bool {
		for _, o := range orders {
			if len(s.peer.arrived(o.ID, order.Charge)) < 2 {
				return false
			}
		}
		return true
	})
	close(told)
	l.agrees(s, orders)
	for _, r := range []*running{first, second} {
		r.stop() // with everything applied that it heard
	}
	for _, o := range orders {
		if got := s.get(o.ID).Status; got != order.Completed {
			t.Errorf("got order %s, want COMPLETED", got)
		}
		changes := 0
		for _, l := range s.log.lines("order") {
			if l["order_id"] == o.ID {
				changes++
			}
		}
		if changes != 1 {
			t.Errorf("order %s: got %d changes of status, want 1", o.ID, changes)
		}
	}
}

// The relay is told to stop with commands in flight: it claims nothing more, waits for the answers, settles them, and
// leaves no lease behind.
func TestAGracefulStopSettlesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(50)
	told := make(chan struct{})
	for _, o := range orders {
		s.peer.script(o.ID, order.Charge, holds(told))
	}
	r := s.relay()
	eventually(t, "all are in flight", func() bool { return len(s.peer.all()) == len(orders) })
	r.cancel()
	later := s.placeMany(5)
	close(told)
	r.stop()
	for _, o := range orders {
		if got := s.get(o.ID).Status; got != order.Completed {
			t.Errorf("got order %s, want COMPLETED", got)
		}
	}
	if got := s.count(`SELECT count(*) FROM outbox WHERE lease_token IS NOT NULL`); got != 0 {
		t.Errorf("got %d commands leased, want none", got)
	}
	if got := s.count(`SELECT count(*) FROM outbox`); got > len(later) {
		t.Errorf("got %d commands left, want at most the %d that came later", got, len(later))
	}
}

// The same, with a command that never answers: it is waited for as long as a call may take, and then let go.
func TestAGracefulStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	hanging := s.place()
	s.peer.always(hanging.ID, order.Charge, hangs)
	r := s.relay(func(p *pace) { p.CallTimeout = 200 * time.Millisecond })
	eventually(t, "it is in flight", func() bool { return len(s.peer.all()) > 0 })
	r.stop()
	got, ok := s.row(hanging.ID, order.Charge)
	if !ok || got.Leased || got.LastCode != "NO_ANSWER" {
		t.Errorf("got %+v, %v; want it written down as silent, and not leased", got, ok)
	}
}

// A stop between a claim and a delivery, again and again: whatever the moment, no lease is left behind and nothing
// lost.
func TestManyStopsLeaveNoLease(t *testing.T) {
	t.Parallel()
	slow.Test(t, "stops relays again and again")
	s := newSystem(t)
	orders := s.placeMany(60)
	for round := range 6 {
		r := s.relay(func(p *pace) { p.Batch = 7 })
		eventually(t, "the relay has begun", func() bool {
			return len(s.peer.all()) > round*7 || s.count(`SELECT count(*) FROM outbox`) == 0
		})
		r.stop()
		if got := s.count(`SELECT count(*) FROM outbox WHERE lease_token IS NOT NULL`); got != 0 {
			t.Errorf("round %d: got %d commands leased, want none", round, got)
		}
	}
	s.relay()
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
}

// An address that cannot be had ends the daemon with an error, and with it the worker.
func TestAnAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	first := s.relay()
	first.client()
	second := &serve{Pace: quick(), To: transport{PaymentTarget: s.peer.target()}}
	second.AllowUnsafeDurability = true
	second.DatabaseURL, second.Listen.Listen = s.url, first.log.lines("serving")[0]["address"]
	ended := make(chan error, 1)
	go func() { ended <- second.Run(t.Context(), s.logger()) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("got no error, want that the address is in use")
		}
	case <-time.After(longWait):
		t.Fatal("the daemon does not end")
	}
}

// Somebody holds an order's row, a person in psql, when the answer comes. The other orders are settled meanwhile; this
// one is when they let go, from the answer that was heard: nothing is sent twice.
func TestAnOrderThatSomebodyHoldsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	held, other := s.place(), s.place()
	tx, err := s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	if _, err := tx.Exec(t.Context(), `SELECT FROM orders WHERE id = $1 FOR UPDATE`, held.ID); err != nil {
		t.Fatal(err)
	}
	s.relay()
	s.await(other.ID, order.Completed)
	eventually(t, "the answer is heard", func() bool { return len(s.deliveries(held.ID, order.Charge)) == 1 })
	later := s.place() // its settling comes after a round in which the held one was passed over
	s.await(later.ID, order.Completed)
	if got := s.get(held.ID).Status; got != order.Pending {
		t.Errorf("got the held order %s, want PENDING", got)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await(held.ID, order.Completed)
	s.drained()
	if got := len(s.peer.arrived(held.ID, order.Charge)); got != 1 {
		t.Errorf("got %d charges sent, want 1", got)
	}
}
