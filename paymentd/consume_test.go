package main

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "hosho/gen/events/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/broker/connect"
)

// wantRefusal fails the test unless an event says that a send could not be decided, and why.
func wantRefusal(
	t *testing.T, got any, c *paymentv1.ChargePaymentRequest, asked eventsv1.PaymentRefused_Command, send int32,
	code codes.Code, reason string,
) {
	t.Helper()
	r, ok := got.(*eventsv1.PaymentRefused)
	if !ok || r.GetPaymentId() != c.GetPaymentId() || r.GetCommand() != asked || r.GetSend() != send ||
		codes.Code(r.GetCode()) != code || r.GetReason() != reason || r.GetMessage() == "" {
		t.Errorf("got %T %v, want send %d of %v refused with %v, %s", got, got, send, asked, code, reason)
	}
}

const (
	toCharge = eventsv1.PaymentRefused_COMMAND_CHARGE
	toVoid   = eventsv1.PaymentRefused_COMMAND_VOID
)

// An order of each amount of the simulation is answered what a stream would have answered.
func TestAnEventOfEachAmountIsAnswered(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind, func(s *server) { s.cardTimeout = 50 * time.Millisecond })
		paid, declines := newCharge(500), newCharge(9996)
		late, fails, hangs, lost := newCharge(500), newCharge(9999), newCharge(9997), newCharge(9998)

		s.say(placed(paid, 1))
		m := wantHeard[*eventsv1.PaymentCharged](t, s.hearOf(paid), paid)
		if m.GetAmount().GetAmountMinor() != 500 || m.GetAmount().GetCurrencyCode() != "JPY" ||
			time.Since(m.GetChargeTime().AsTime()).Abs() > time.Minute {
			t.Errorf("got %v, want 500 yen, charged now", m)
		}
		s.say(placed(declines, 1))
		declined := wantHeard[*eventsv1.PaymentDeclined](t, s.hearOf(declines), declines)
		if declined.GetReason() != paymentv1.Payment_DECLINE_REASON_INSUFFICIENT_FUNDS {
			t.Errorf("got %v, want it declined for the lack of money", declined)
		}
		late.NotAfter = timestamppb.New(time.Unix(1, 0))
		s.say(placed(late, 1))
		expired := wantHeard[*eventsv1.PaymentDeclined](t, s.hearOf(late), late)
		if expired.GetReason() != paymentv1.Payment_DECLINE_REASON_EXPIRED {
			t.Errorf("got %v, want it expired", expired)
		}
		s.say(placed(fails, 1))
		wantRefusal(t, s.hearOf(fails), fails, toCharge, 1, codes.Internal, "INTERNAL")
		s.say(placed(hangs, 3))
		wantRefusal(t, s.hearOf(hangs), hangs, toCharge, 3, codes.DeadlineExceeded, "CARD_NETWORK_TIMEOUT")

		s.say(placed(lost, 1))
		s.log.awaitAbout(lost.GetPaymentId())
		s.say(placed(paid, 2))
		wantHeard[*eventsv1.PaymentCharged](t, s.hearOf(paid), paid) // and nothing of the one that was lost
		if n := s.count(t, "ledger", lost.GetPaymentId()); n != 1 {
			t.Errorf("got %d bookings of the charge whose outcome was lost, want 1", n)
		}
		s.say(placed(lost, 2))
		wantHeard[*eventsv1.PaymentCharged](t, s.hearOf(lost), lost)
	})
}

// What is asked again is answered what is stored, whichever command asks, and no money moves again.
func TestAnEventThatComesAgainIsAnsweredAgain(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind)
		c := newCharge(500)
		for send := range int32(3) {
			s.say(placed(c, send+1))
			wantHeard[*eventsv1.PaymentCharged](t, s.hearOf(c), c)
		}
		for send := range int32(3) {
			s.say(cancelling(c, send+1))
			wantHeard[*eventsv1.PaymentRefunded](t, s.hearOf(c), c)
		}
		s.say(placed(c, 4))
		wantHeard[*eventsv1.PaymentRefunded](t, s.hearOf(c), c)
		if n := s.count(t, "ledger", c.GetPaymentId()); n != 2 {
			t.Errorf("got %d bookings, want one charge and one refund", n)
		}
	})
}

// A cancellation that overtakes its order leaves a tombstone, which the order finds.
func TestAVoidThatComesBeforeItsChargeLeavesATombstone(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		s := startOver(t, kind)
		c := newCharge(500)
		s.say(cancelling(c, 1))
		wantHeard[*eventsv1.PaymentVoided](t, s.hearOf(c), c)
		s.say(placed(c, 1)) // as many sends of either
		s.say(placed(c, 2))
		wantHeard[*eventsv1.PaymentVoided](t, s.hearOf(c), c)
		wantHeard[*eventsv1.PaymentVoided](t, s.hearOf(c), c)
		if n := s.count(t, "ledger", c.GetPaymentId()); n != 0 {
			t.Errorf("got %d bookings, want none", n)
		}
	})
}

// The log tells a charge from an answer to whoever asked again, whichever way he asked: no money moved for that.
func TestARepeatIsNoChargeInTheLog(t *testing.T) {
	t.Parallel()
	s := startOver(t, connect.NATS)
	c := newCharge(500)
	s.say(placed(c, 1))
	wantHeard[*eventsv1.PaymentCharged](t, s.hearOf(c), c)
	s.say(placed(c, 2))
	wantHeard[*eventsv1.PaymentCharged](t, s.hearOf(c), c)
	s.charge(t, c)
	lines := s.log.named("payment")
	if len(lines) != 3 {
		t.Fatalf("got %v, want a line each of two events and a call", lines)
	}
	for i, want := range []any{nil, true, true} {
		if got := lines[i]; got["status"] != "CHARGED" || got["repeat"] != want {
			t.Errorf("line %d: got %v, want CHARGED, repeat %v", i, got, want)
		}
	}
}
