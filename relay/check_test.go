package main

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/payment"
)

// remembering is a bank that remembers what it was asked for.
type remembering struct {
	*memory

	mu    sync.Mutex
	asked []*paymentv1.PaymentCommand
}

func (b *remembering) carryOut(ctx context.Context, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	b.mu.Lock()
	b.asked = append(b.asked, c)
	b.mu.Unlock()
	return b.memory.carryOut(ctx, c)
}

// notOrdered returns an error in words about what the bank was asked for and nobody ordered, "" when there is nothing.
func (b *remembering) notOrdered(orders map[string]order.Order) (found []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.asked {
		kind := order.Charge
		var request proto.Message = c.GetCharge()
		if c.GetVoid() != nil {
			kind, request = order.Void, c.GetVoid()
		}
		payload, err := proto.Marshal(request)
		if err != nil {
			return []string{err.Error()}
		}
		o := orders[asked(c).GetPaymentId()]
		if differs, err := command.Differences(kind, o, payload); err != nil || differs != "" {
			found = append(found, string(kind)+" of "+o.ID+": "+differs)
		}
	}
	return found
}

// changed returns the payload of an order's command after somebody was at it.
func changed(t testing.TB, kind order.Command, o order.Order, change func(*paymentv1.ChargePaymentRequest)) []byte {
	t.Helper()
	c := &paymentv1.ChargePaymentRequest{
		PaymentId: o.ID, CustomerId: o.CustomerID, Amount: money(o), NotAfter: timestamppb.New(o.DeadlineAt),
	}
	change(c)
	var request proto.Message = c
	if kind == order.Void {
		request = &paymentv1.VoidPaymentRequest{PaymentId: c.PaymentId, CustomerId: c.CustomerId, Amount: c.Amount}
	}
	payload, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// Somebody who may write the outbox changes what is to be paid, by whom, for what, until when. What was ordered is
// paid or given back, and a person is told, once a command.
func TestWhatIsSentIsWhatWasOrdered(t *testing.T) {
	changes := map[string]func(*paymentv1.ChargePaymentRequest){
		"amount":   func(c *paymentv1.ChargePaymentRequest) { c.Amount.AmountMinor = 1 },
		"currency": func(c *paymentv1.ChargePaymentRequest) { c.Amount.CurrencyCode = "USD" },
		"customer": func(c *paymentv1.ChargePaymentRequest) { c.CustomerId = "mallory" },
		"key":      func(c *paymentv1.ChargePaymentRequest) { c.PaymentId = "0190b6a4-7c5e-7d3a-8f00-0123456789ab" },
		"lot":      func(c *paymentv1.ChargePaymentRequest) { c.Amount, c.CustomerId = &moneyv1.Money{}, "" },
		"no time":  func(c *paymentv1.ChargePaymentRequest) { c.NotAfter = nil },
		"for ever": func(c *paymentv1.ChargePaymentRequest) { c.NotAfter.Seconds += 1 << 30 },
		"nothing":  func(c *paymentv1.ChargePaymentRequest) { proto.Reset(c) },
	}
	both(t, func(s *system, begin func()) {
		bank := &remembering{memory: s.bank}
		s.peer.mu.Lock()
		s.peer.bank = bank
		s.peer.mu.Unlock()
		orders, changedOnes := map[string]order.Order{}, map[string]order.Command{}
		for name, change := range changes {
			charge, void := s.place(), s.cancelling()
			orders[charge.ID], orders[void.ID] = charge, void
			s.bank.decided(void, payment.Charged, 0)
			s.exec(`UPDATE outbox SET payload = $2 WHERE key = $1`, charge.ID,
				changed(s.t, order.Charge, charge, change))
			s.exec(`UPDATE outbox SET payload = $2 WHERE key = $1`, void.ID, changed(s.t, order.Void, void, change))
			changedOnes[charge.ID] = order.Charge
			if name != "no time" && name != "for ever" { // a void has no such time
				changedOnes[void.ID] = order.Void
			}
		}
		plain := s.place()
		orders[plain.ID] = plain
		begin()
		s.relay()
		s.drained()
		if found := bank.notOrdered(orders); len(found) > 0 {
			s.t.Errorf("got %q sent, want what was ordered", found)
		}
		pages := map[string]int{}
		for _, l := range s.log.lines("order needs a person") {
			if l["code"] != "PAYLOAD_MISMATCH" || l["kind"] != string(changedOnes[l["order_id"]]) {
				s.t.Errorf("got the line %v, want one for each changed command", l)
			}
			pages[l["order_id"]]++
		}
		for id, o := range orders {
			if want := min(1, len(changedOnes[id])); pages[id] != want {
				s.t.Errorf("order %s: got %d calls for a person, want %d", id, pages[id], want)
			}
			want := order.Completed
			if o.Status == order.Cancelling {
				want = order.Cancelled
			}
			s.await(id, want)
		}
	})
}

// Somebody has every command changed as it is written. A relay that holds it from the beginning reads at once what its
// order says, and notices it as well.
func TestWhatIsChangedAtItsBirthIsSentAsItWasOrdered(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	bank := &remembering{memory: s.bank}
	s.peer.mu.Lock()
	s.peer.bank = bank
	s.peer.mu.Unlock()
	s.exec(`
		CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			NEW.payload := overlay(NEW.payload PLACING 'bobby' FROM position('alice'::bytea IN NEW.payload));
			RETURN NEW;
		END $$;
		CREATE TRIGGER forge BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION forge()`)
	s.relay()
	eventually(t, "the relay has a standing claim", func() bool {
		return s.count(`SELECT count(*) FROM outbox_claims`) == 1
	})
	orders := map[string]order.Order{}
	for range 3 {
		o := s.place()
		orders[o.ID] = s.await(o.ID, order.Completed)
	}
	if found := bank.notOrdered(orders); len(found) > 0 {
		t.Errorf("got %q sent, want what was ordered", found)
	}
	if got := len(s.log.lines("order needs a person")); got != len(orders) {
		t.Errorf("got %d calls for a person, want %d", got, len(orders))
	}
}

// A changed command is mended in the outbox when it has to be sent again: the person is called once.
func TestAChangedCommandThatFailsIsMended(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.place()
	want, _ := s.row(o.ID, order.Charge)
	s.exec(`UPDATE outbox SET payload = $2 WHERE key = $1`, o.ID,
		changed(t, order.Charge, o, func(c *paymentv1.ChargePaymentRequest) { c.Amount.AmountMinor = 1 }))
	s.peer.script(o.ID, order.Charge, fails(codes.Internal, "", 0), fails(codes.Unavailable, "", 0))
	first := s.relay()
	s.await(o.ID, order.Completed)
	if got := len(s.log.lines("order needs a person")); got != 1 {
		t.Errorf("got %d calls for a person, want one", got)
	}
	first.stop() // which would send what is placed before it is changed
	hour := s.place()
	s.exec(`UPDATE outbox SET payload = '' WHERE key = $1`, hour.ID)
	s.peer.script(hour.ID, order.Charge, fails(codes.ResourceExhausted, "", time.Minute))
	s.relay()
	got := s.awaitRow(hour.ID, order.Charge, "it has failed", func(r row) bool { return r.Answers == 1 && !r.Leased })
	if differs, err := command.Differences(order.Charge, hour, got.Payload); err != nil || differs != "" {
		t.Errorf("got a stored payload that differs in %q, error %v; want it made anew", differs, err)
	}
	if len(want.Payload) == 0 {
		t.Error("got no payload of the first, want one")
	}
	s.drained()
}

// The row says that it is too late, or that it never is. The order's deadline decides, and is right here to the day.
func TestTheOrdersDeadlineDecidesAndNotTheRows(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	early, parked, never, endless, void := s.place(), s.place(), s.place(), s.place(), s.cancelling()
	s.exec(`UPDATE outbox SET expires_at = clock_timestamp() - interval '1 hour' WHERE key = ANY($1)`,
		[]string{early.ID, parked.ID, void.ID})
	s.exec(`UPDATE outbox SET parked_at = clock_timestamp() WHERE key = $1`, parked.ID)
	s.expire(never.ID)
	s.exec(`UPDATE outbox SET expires_at = NULL WHERE key = $1`, never.ID)
	s.exec(`UPDATE outbox SET expires_at = 'infinity' WHERE key = $1`, endless.ID)
	r := s.relay()
	for _, o := range []order.Order{early, endless} {
		s.await(o.ID, order.Completed)
		s.alarmed(o.ID)
	}
	s.await(void.ID, order.Cancelled)
	if got := s.await(never.ID, order.Cancelled); got.CancelReason != order.ReasonDeadline {
		t.Errorf("got %s, want DEADLINE", got.CancelReason)
	}
	if got := len(s.peer.arrived(never.ID, order.Charge)); got != 0 {
		t.Errorf("got %d charges after the deadline, want none", got)
	}
	if got := s.get(parked.ID).Status; got != order.Pending {
		t.Errorf("got the parked order %s, want it PENDING until its deadline", got)
	}
	s.retryParked(r, parked.ID)
	s.drained()
}

// Somebody set the orders' statuses by hand. Their charges would be made only to be kept.
func TestAChargeWhoseOrderIsNotPendingIsNotSent(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	cancelled, completed, cancelling, plain := s.place(), s.place(), s.place(), s.place()
	s.unguarded(`UPDATE orders SET status = 'CANCELLED', cancel_reason = 'CUSTOMER' WHERE id = $1`, cancelled.ID)
	s.unguarded(`UPDATE orders SET status = 'COMPLETED' WHERE id = $1`, completed.ID)
	s.unguarded(`UPDATE orders SET status = 'CANCELLING', cancel_reason = 'CUSTOMER' WHERE id = $1`, cancelling.ID)
	s.relay()
	s.await(plain.ID, order.Completed)
	eventually(t, "the outbox is empty", func() bool { return s.count(`SELECT count(*) FROM outbox`) == 0 })
	for _, o := range []order.Order{cancelled, completed, cancelling} {
		if got := len(s.peer.arrived(o.ID, order.Charge)); got != 0 {
			t.Errorf("got %d charges of an order that was set by hand, want none", got)
		}
	}
	if got := s.log.lines("order needs a person"); len(got) != 0 {
		t.Errorf("got %v, want nobody called", got)
	}
}

// unwanted waits until both commands are listed as UNWANTED.
func (s *system) unwanted(r *running, ids ...string) {
	s.t.Helper()
	eventually(s.t, "the commands are listed", func() bool {
		reply, err := r.client().ListParked(s.t.Context(), &relayv1.ListParkedRequest{})
		if err != nil {
			s.t.Fatal(err)
		}
		var listed []string
		for _, c := range reply.GetCommands() {
			if c.GetWhy() == relayv1.ParkedCommand_WHY_UNWANTED {
				listed = append(listed, c.GetOrderId())
			}
		}
		slices.Sort(listed)
		slices.Sort(ids)
		return slices.Equal(listed, ids)
	})
}

// Somebody deleted the orders. Nobody knows what their commands are for: none is sent, each waits for a person who is
// called once, and once more when he has it tried again.
func TestACommandWithoutItsOrderIsSetAside(t *testing.T) {
	both(t, func(s *system, begin func()) {
		charge, late, void, plain := s.place(), s.place(), s.cancelling(), s.place()
		gone := []string{charge.ID, late.ID, void.ID}
		s.expire(late.ID)
		s.unguarded(`DELETE FROM orders WHERE id = ANY($1)`, gone)
		begin()
		r := s.relay()
		s.await(plain.ID, order.Completed)
		s.awaitRow(charge.ID, order.Charge, "the charge is parked", func(r row) bool { return r.Parked })
		s.awaitRow(late.ID, order.Charge, "the late charge is parked", func(r row) bool { return r.Parked })
		got := s.awaitRow(void.ID, order.Void, "the void is parked", func(r row) bool { return r.Parked })
		if got.LastCode != "NO_ORDER" || got.Attempts != 0 {
			s.t.Errorf("got %+v, want NO_ORDER and no attempt spent", got)
		}
		s.unwanted(r, gone...)
		s.retryParked(r, charge.ID)
		eventually(s.t, "it is parked again", func() bool {
			r, _ := s.row(charge.ID, order.Charge)
			return r.Parked && len(s.log.lines("order needs a person")) == 4
		})
		for _, line := range s.log.lines("delivery") {
			if line["code"] == "NO_ORDER" && line["retry_in"] != "" {
				s.t.Errorf("got %v, want no retry told of what is parked", line)
			}
		}
		for _, a := range s.peer.all() {
			if a.id != plain.ID {
				s.t.Errorf("got a command of the deleted order %s, want none sent", a.id)
			}
		}
		s.exec(`DELETE FROM outbox`)
	})
}

// Somebody wrote a VOID for an order that is paid for, and one for an order that is about to be. Neither is sent. The
// customer can cancel all the same: then the void is his, and asks for what was ordered.
func TestAForgedVoidGivesNothingBack(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	paid, pending := s.place(), s.place()
	s.peer.always(pending.ID, order.Charge, fails(codes.ResourceExhausted, "", time.Minute))
	r := s.relay()
	s.await(paid.ID, order.Completed)
	s.awaitRow(pending.ID, order.Charge, "it waits", func(r row) bool { return r.Answers == 1 && !r.Leased })
	for _, o := range []order.Order{paid, pending} {
		s.exec(`INSERT INTO outbox (key, kind, payload) VALUES ($1, 'VOID', $2)`, o.ID,
			changed(t, order.Void, o, func(c *paymentv1.ChargePaymentRequest) { c.Amount.AmountMinor = 1 }))
	}
	s.alarmed(paid.ID)
	s.alarmed(pending.ID)
	s.unwanted(r, paid.ID, pending.ID)
	got := s.awaitRow(paid.ID, order.Void, "it waits", func(r row) bool {
		return !r.Leased && r.LastCode == "UNWANTED"
	})
	if got.Parked || got.ReadyIn < 30 {
		t.Errorf("got %+v, want it to wait as long as may be", got)
	}
	if held, _ := s.bank.get(paid.ID); held != payment.Charged {
		t.Errorf("got payment %s, want it CHARGED still", held)
	}
	for _, o := range []order.Order{paid, pending} {
		if got := len(s.peer.arrived(o.ID, order.Void)); got != 0 {
			t.Errorf("got %d voids, want none", got)
		}
		if _, changed, err := s.store.Cancel(t.Context(), o.ID, ""); err != nil || !changed {
			t.Errorf("the customer's cancel: got changed %v, error %v", changed, err)
		}
	}
	s.drained()
	s.await(paid.ID, order.Cancelled)
	s.await(pending.ID, order.Cancelled)
}

// The orders cannot be read for a while. Nothing is sent, no attempt is spent, and paymentd is not taken to be down.
func TestWhileOrdersCannotBeReadNothingIsSent(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(20)
	err := pgx.BeginFunc(t.Context(), s.db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `LOCK TABLE orders IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		s.relay(func(p *pace) {
			p.SettleTimeout, p.Lease, p.UnsafeShortLease = 200*time.Millisecond, time.Second, true
			p.BreakerStreak, p.MaxAttempts = 5, 1
		})
		eventually(t, "the relay says so", func() bool {
			return len(s.log.lines("orders cannot be read: nothing is sent")) > 0
		})
		if got := s.peer.all(); len(got) != 0 {
			t.Errorf("got %d commands sent, want none", len(got))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
	if got := s.log.lines("the destination is down: one message a second probes it"); len(got) != 0 {
		t.Errorf("got %v, want nothing said of paymentd", got)
	}
}
