package main

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"

	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/payment"
)

// both runs a test with commands that go over the stream, and with commands that go each in a call of its own. The test
// places its orders and calls begin before it starts a relay.
func both(t *testing.T, test func(s *system, begin func())) {
	t.Parallel()
	t.Run("on the stream", func(t *testing.T) {
		t.Parallel()
		test(newSystem(t), func() {})
	})
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		s := newSystem(t)
		test(s, s.suspect)
		for _, a := range s.peer.all() {
			if !a.alone && a.kind == paymentv1.PaymentResult_KIND_CHARGE {
				t.Errorf("%s went over the stream, want a call of its own", a.id)
			}
		}
	})
}

func TestEveryOutcomeSettles(t *testing.T) {
	both(t, func(s *system, begin func()) {
		const none = paymentv1.Payment_DECLINE_REASON_UNSPECIFIED
		const funds = paymentv1.Payment_DECLINE_REASON_INSUFFICIENT_FUNDS
		tests := []struct {
			place    func() order.Order
			stored   payment.Status // before the relay starts
			declined paymentv1.Payment_DeclineReason
			want     order.Status
			reason   order.CancelReason
		}{
			{s.place, payment.None, none, order.Completed, ""},
			{s.place, payment.Charged, none, order.Completed, ""},
			{s.place, payment.Declined, funds, order.Cancelled, order.ReasonPaymentDeclined},
			{s.place, payment.Declined, none, order.Cancelled, order.ReasonPaymentDeclined},
			{s.place, payment.Voided, none, order.Cancelled, order.ReasonPaymentFailed},
			{s.place, payment.Refunded, none, order.Cancelled, order.ReasonPaymentFailed},
			{s.cancelling, payment.None, none, order.Cancelled, order.ReasonCustomer},
			{s.cancelling, payment.Charged, none, order.Cancelled, order.ReasonCustomer},
			{s.cancelling, payment.Declined, funds, order.Cancelled, order.ReasonCustomer},
			{s.cancelling, payment.Voided, none, order.Cancelled, order.ReasonCustomer},
			{s.cancelling, payment.Refunded, none, order.Cancelled, order.ReasonCustomer},
		}
		orders := make([]order.Order, len(tests))
		for i, test := range tests {
			orders[i] = test.place()
			if test.stored != payment.None {
				s.bank.decided(orders[i], test.stored, test.declined)
			}
		}
		begin()
		s.relay()
		s.drained()
		for i, test := range tests {
			o := s.get(orders[i].ID)
			if o.Status != test.want || o.CancelReason != test.reason {
				s.t.Errorf("order born %s, payment %q (%s): got %s (%s), want %s (%s)",
					orders[i].Status, test.stored, test.declined,
					o.Status, o.CancelReason, test.want, test.reason)
			}
			deliveries := append(s.deliveries(o.ID, order.Charge), s.deliveries(o.ID, order.Void)...)
			if len(deliveries) != 1 || deliveries[0]["code"] != "OK" {
				s.t.Errorf("got deliveries %v, want one line, with the code OK", deliveries)
			}
		}
	})
}

// Two orders were paid and are cancelled, and another paymentd answers, or one that has forgotten them: it holds no
// money under their keys. They are not CANCELLED by that; a person is told of each. One ends by itself when the right
// paymentd is back, the other by an operator.
func TestAPaidOrderIsCancelledByItsRefundAlone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	refunded, settled := s.place(), s.place()
	r := s.relay()
	for _, o := range []order.Order{refunded, settled} {
		s.await(o.ID, order.Completed)
		s.peer.always(o.ID, order.Void, twists(func(p *paymentv1.Payment) {
			p.Status = paymentv1.Payment_STATUS_VOIDED
		}))
		if _, _, err := s.store.Cancel(t.Context(), o.ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []order.Order{refunded, settled} {
		s.awaitRow(o.ID, order.Void, "it is not refunded", func(r row) bool {
			return r.LastCode == order.NotRefunded && !r.Parked && r.Answers > 1
		})
		s.alarmed(o.ID)
		if got := s.get(o.ID).Status; got != order.Cancelling {
			t.Errorf("got %s, want CANCELLING", got)
		}
	}
	s.peer.always(refunded.ID, order.Void, nil)
	s.await(refunded.ID, order.Cancelled)
	_, err := r.client().SettleParked(t.Context(), &relayv1.SettleParkedRequest{
		OrderId: settled.ID, Reason: "given back by a cheque", Operator: "ops@example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.await(settled.ID, order.Cancelled)
	s.drained()
}

// The deadline passes while the charge is under way, by both clocks: the order is CANCELLED by the one reply.
func TestAChargeThatExpiresOnItsWayCancels(t *testing.T) {
	both(t, func(s *system, begin func()) {
		s.exec(`ALTER TABLE orders DISABLE TRIGGER orders_facts_fixed`)
		o := s.place()
		s.bank.decided(o, payment.Declined, paymentv1.Payment_DECLINE_REASON_EXPIRED)
		passes := func(_ context.Context, answer func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
			s.exec(`UPDATE orders SET deadline_at = clock_timestamp() WHERE id = $1`, o.ID)
			return answer()
		}
		s.peer.script(o.ID, order.Charge, passes)
		begin()
		s.relay()
		s.drained()
		if got := s.get(o.ID); got.Status != order.Cancelled || got.CancelReason != order.ReasonDeadline {
			s.t.Errorf("got %s because of %s, want CANCELLED because of DEADLINE", got.Status, got.CancelReason)
		}
		if got := s.deliveries(o.ID, order.Void); len(got) > 0 {
			s.t.Errorf("got deliveries %v of a VOID, want none", got)
		}
	})
}

// The clock of the payments database is ahead by more than the deadline: every charge is declined as expired. No order
// is CANCELLED for a deadline that it has not reached. Nobody sends the charge again, a person is told, an operator who
// retries it does no harm, and at its own deadline the order ends as any other.
func TestAnOrderThatExpiredEarlyWaitsForItsDeadline(t *testing.T) {
	both(t, func(s *system, begin func()) {
		o := s.place()
		s.bank.decided(o, payment.Declined, paymentv1.Payment_DECLINE_REASON_EXPIRED)
		begin()
		r := s.relay()
		parked := func(times int) {
			s.t.Helper()
			eventually(s.t, "the charge is parked", func() bool {
				got, _ := s.row(o.ID, order.Charge)
				sent := len(s.deliveries(o.ID, order.Charge))
				return got.Parked && got.LastCode == order.ExpiredEarly && sent == times
			})
			if got := s.get(o.ID).Status; got != order.Pending {
				s.t.Errorf("got %s before the deadline, want PENDING", got)
			}
		}
		parked(1)
		s.alarmed(o.ID)
		s.retryParked(r, o.ID)
		parked(2)
		s.expire(o.ID) // its deadline, as the outbox has it
		got := s.await(o.ID, order.Cancelled)
		if got.CancelReason != order.ReasonDeadline {
			s.t.Errorf("got CANCELLED because of %s, want %s", got.CancelReason, order.ReasonDeadline)
		}
		sent := 0
		for _, a := range s.peer.all() {
			if a.id == o.ID && a.kind == paymentv1.PaymentResult_KIND_CHARGE {
				sent++
			}
		}
		if sent != 2 {
			s.t.Errorf("got the charge sent %d times, want once, and once for the operator", sent)
		}
		s.drained()
	})
}

// An OK that carries no durable outcome is no evidence: it costs an attempt and settles nothing.
func TestAnUnknownOutcomeDecidesNothing(t *testing.T) {
	outcomes := map[string]step{
		"unspecified": twists(func(p *paymentv1.Payment) { p.Status = paymentv1.Payment_STATUS_UNSPECIFIED }),
		"unknown":     twists(func(p *paymentv1.Payment) { p.Status = 99 }),
		"no payment": func(context.Context, func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
			return nil, nil
		},
	}
	both(t, func(s *system, begin func()) {
		charges, voids := map[string]order.Order{}, map[string]order.Order{}
		for name, outcome := range outcomes {
			charges[name] = s.place()
			s.peer.script(charges[name].ID, order.Charge, outcome)
			voids[name] = s.cancelling()
			s.peer.script(voids[name].ID, order.Void, outcome)
		}
		// CHARGED says nothing about a void: it is what the void undoes.
		voids["charged"] = s.cancelling()
		s.peer.script(voids["charged"].ID, order.Void, twists(func(p *paymentv1.Payment) {
			p.Status = paymentv1.Payment_STATUS_CHARGED
		}))
		begin()
		s.relay()
		s.drained()
		check := func(name string, o order.Order, kind order.Command) {
			deliveries := s.deliveries(o.ID, kind)
			if len(deliveries) != 2 {
				s.t.Fatalf("%s, %s: got deliveries %v, want two", name, kind, deliveries)
			}
			if got, want := deliveries[0]["code"], "UNKNOWN_OUTCOME"; got != want {
				s.t.Errorf("%s, %s: got code %s, want %s", name, kind, got, want)
			}
			if got, want := deliveries[1]["attempts"], "1"; got != want {
				s.t.Errorf("%s, %s: got %s attempts spent, want %s", name, kind, got, want)
			}
		}
		for name, o := range charges {
			check(name, o, order.Charge)
			s.await(o.ID, order.Completed)
		}
		for name, o := range voids {
			check(name, o, order.Void)
			s.await(o.ID, order.Cancelled)
		}
	})
}

// A reply about another payment than the one that was asked for is nobody's evidence: a person must look.
func TestAnEchoThatDoesNotMatchParks(t *testing.T) {
	echoes := map[string]func(*paymentv1.Payment){
		"id":       func(p *paymentv1.Payment) { p.PaymentId = "0190b6a4-7c5e-7d3a-8f00-0123456789ab" },
		"customer": func(p *paymentv1.Payment) { p.CustomerId = "mallory" },
		"amount":   func(p *paymentv1.Payment) { p.Amount.AmountMinor++ },
		"currency": func(p *paymentv1.Payment) { p.Amount.CurrencyCode = "USD" },
		"none":     func(p *paymentv1.Payment) { p.Amount = nil },
	}
	both(t, func(s *system, begin func()) {
		orders := map[string]order.Order{}
		for name, echo := range echoes {
			orders[name] = s.place()
			s.peer.script(orders[name].ID, order.Charge, twists(echo))
		}
		voided := s.cancelling()
		s.peer.script(voided.ID, order.Void, twists(echoes["amount"]))
		begin()
		r := s.relay()
		for name, o := range orders {
			parked := s.awaitRow(o.ID, order.Charge, "the charge is parked: "+name, func(r row) bool {
				return r.Parked
			})
			if parked.LastCode != "ECHO_MISMATCH" || parked.Attempts != 0 {
				s.t.Errorf("%s: got %+v, want ECHO_MISMATCH and no attempt spent", name, parked)
			}
			if got := s.get(o.ID).Status; got != order.Pending {
				s.t.Errorf("%s: got order %s, want PENDING", name, got)
			}
			s.alarmed(o.ID)
		}
		s.await(voided.ID, order.Cancelled) // a void is never parked
		s.alarmed(voided.ID)

		// The operator finds out that it was the peer's mistake, and has them tried again.
		for _, o := range orders {
			s.retryParked(r, o.ID)
		}
		s.drained()
	})
}

// alarmed waits until a person was called to an order.
func (s *system) alarmed(id string) {
	s.t.Helper()
	eventually(s.t, "somebody is called to order "+id, func() bool {
		for _, l := range s.log.lines("order needs a person") {
			if l["order_id"] == id && l["level"] == "ERROR" {
				return true
			}
		}
		return false
	})
}

// The codes by what they do to a charge; any other spends no attempt.
var (
	refusing = []codes.Code{codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.OutOfRange}
	spending = []codes.Code{ // while the breaker is closed
		codes.Internal, codes.Unknown, codes.Canceled, codes.DataLoss, codes.AlreadyExists,
	}
)

// DEADLINE_EXCEEDED is left out: in a call of its own it is no answer, and hanging_test.go has it.

// The first charge is made and its reply lost. The second is refused, as the rules have changed meanwhile: cancelling
// right away would keep the customer's money.
func TestARefusalAfterALostReplyGivesTheMoneyBack(t *testing.T) {
	both(t, func(s *system, begin func()) {
		o := s.place()
		s.peer.script(o.ID, order.Charge, loses(codes.Unavailable), fails(codes.InvalidArgument, "INVALID_FIELDS", 0))
		begin()
		s.relay()
		s.drained()
		s.await(o.ID, order.Cancelled)
		if got, _ := s.bank.get(o.ID); got != payment.Refunded {
			t.Errorf("got payment %s, want REFUNDED", got)
		}
	})
}

// A key that belongs to another payment never gets better. The charge waits for a person until its deadline; the void
// keeps trying, and calls for one. The person looks and decides.
func TestAReusedKey(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.place()
	s.peer.always(o.ID, order.Charge, fails(codes.AlreadyExists, "KEY_REUSED", 0))
	s.peer.always(o.ID, order.Void, fails(codes.AlreadyExists, "KEY_REUSED", 0))
	s.relay()
	charge := s.awaitRow(o.ID, order.Charge, "the charge is parked", func(r row) bool { return r.Parked })
	if charge.LastCode != "KEY_REUSED" || charge.Attempts != 0 {
		t.Errorf("got %+v, want KEY_REUSED and no attempt spent", charge)
	}
	s.alarmed(o.ID)
	if got := s.get(o.ID).Status; got != order.Pending {
		t.Errorf("got order %s, want PENDING until somebody decides", got)
	}

	s.expire(o.ID)
	s.await(o.ID, order.Cancelling)
	void := s.awaitRow(o.ID, order.Void, "the void is tried for the third time", func(r row) bool {
		return r.Answers >= 3
	})
	if void.Parked {
		t.Errorf("got %+v, want a void that is never parked", void)
	}
	if got := s.get(o.ID); got.Status != order.Cancelling || got.CancelReason != order.ReasonDeadline {
		t.Errorf("got %s (%s), want CANCELLING (DEADLINE)", got.Status, got.CancelReason)
	}

	// It turns out that the other payment can be moved: then the saga ends by itself.
	s.peer.always(o.ID, order.Void, nil)
	s.await(o.ID, order.Cancelled)
	s.drained()
}

// Damaged payloads: what cannot be read cannot be sent, and what the order says is enough to compensate.
func TestUnreadablePayloads(t *testing.T) {
	both(t, func(s *system, begin func()) {
		charge, void := s.place(), s.cancelling()
		s.exec(`UPDATE outbox SET payload = '\xff' WHERE key = ANY($1)`, []string{charge.ID, void.ID})
		s.peer.script(charge.ID, order.Void, fails(codes.Unavailable, "", 0)) // so that the VOID can be seen
		begin()
		s.relay()
		s.drained()
		if got := len(s.peer.arrived(charge.ID, order.Charge)); got != 0 {
			s.t.Errorf("got %d charges sent, want none", got)
		}
		if got := s.get(charge.ID); got.Status != order.Cancelled || got.CancelReason != order.ReasonPaymentFailed {
			s.t.Errorf("got %s (%s), want CANCELLED (PAYMENT_FAILED)", got.Status, got.CancelReason)
		}
		if got := s.deliveries(charge.ID, order.Charge)[0]["code"]; got != "UNREADABLE" {
			s.t.Errorf("got code %s, want UNREADABLE", got)
		}
		s.await(void.ID, order.Cancelled)
		s.alarmed(void.ID)
		for _, o := range []order.Order{charge, void} { // the bank echoes what it was asked for
			s.bank.mu.Lock()
			p := s.bank.payments[o.ID]
			s.bank.mu.Unlock()
			if p.GetCustomerId() != o.CustomerID || p.GetAmount().GetAmountMinor() != o.AmountMinor ||
				p.GetAmount().GetCurrencyCode() != o.Currency {
				s.t.Errorf("got a void of %v, want it built from the order", p)
			}
		}
	})
}
