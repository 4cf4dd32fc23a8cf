package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "hosho/gen/event/v1"
	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// events returns the first events of a paymentd.
func (s *system) events(t *testing.T, n int) (all []*eventv1.PaymentDecision) {
	t.Helper()
	stream, err := eventv1.NewEventServiceClient(s.conn).WatchEvents(t.Context(),
		&eventv1.WatchEventsRequest{Kept: true})
	for err == nil && len(all) < n {
		var r *eventv1.WatchEventsResponse
		r, err = stream.Recv()
		for _, e := range r.GetEvents() {
			all = append(all, e.GetPayment())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Each decision is told once as one that moved money, where it did, however often it is asked for, and also where its
// reply is lost. What is told of all is what the ledger holds.
func TestWhatMovedMoneyIsToldOnce(t *testing.T) {
	t.Parallel()
	const charging, voiding = relayv1.ParkedCommand_KIND_CHARGE, relayv1.ParkedCommand_KIND_VOID
	s := start(t)
	paid, lost, declined, unknown := newCharge(1200), newCharge(9998), newCharge(9996), newCharge(700)
	reused := proto.CloneOf(paid)
	reused.CustomerId = "somebody-else"
	talk := s.open(t, t.Context())
	for _, command := range []proto.Message{
		paid, paid, lost, lost, declined, reused, voidOf(paid), voidOf(paid), voidOf(unknown), unknown,
	} {
		talk.send(command)
		talk.receive(1)
	}
	told := func(
		c *paymentv1.ChargePaymentRequest, kind relayv1.ParkedCommand_Kind, status paymentv1.Payment_Status,
		repeat bool,
	) *eventv1.PaymentDecision {
		return &eventv1.PaymentDecision{
			PaymentId: c.GetPaymentId(), Kind: kind, Status: status, Repeat: repeat,
			Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: c.GetAmount().GetAmountMinor()},
		}
	}
	refused := func(c *paymentv1.ChargePaymentRequest, code string) *eventv1.PaymentDecision {
		return &eventv1.PaymentDecision{PaymentId: c.GetPaymentId(), Kind: charging, Code: code}
	}
	noMoney := told(declined, charging, paymentv1.Payment_STATUS_DECLINED, false)
	noMoney.DeclineReason = paymentv1.Payment_DECLINE_REASON_INSUFFICIENT_FUNDS
	want := []*eventv1.PaymentDecision{
		told(paid, charging, paymentv1.Payment_STATUS_CHARGED, false),
		told(paid, charging, paymentv1.Payment_STATUS_CHARGED, true),
		told(lost, charging, paymentv1.Payment_STATUS_CHARGED, false),
		refused(lost, "REPLY_LOST"),
		told(lost, charging, paymentv1.Payment_STATUS_CHARGED, true),
		noMoney,
		refused(reused, "KEY_REUSED"),
		told(paid, voiding, paymentv1.Payment_STATUS_REFUNDED, false),
		told(paid, voiding, paymentv1.Payment_STATUS_REFUNDED, true),
		told(unknown, voiding, paymentv1.Payment_STATUS_VOIDED, false),
		told(unknown, charging, paymentv1.Payment_STATUS_VOIDED, true),
	}
	got := s.events(t, len(want))
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	moved := map[string]int64{}
	for _, d := range got {
		if !d.GetRepeat() && d.GetStatus() == paymentv1.Payment_STATUS_CHARGED {
			moved["CHARGE"] += d.GetAmount().GetAmountMinor()
		}
		if !d.GetRepeat() && d.GetStatus() == paymentv1.Payment_STATUS_REFUNDED {
			moved["REFUND"] += d.GetAmount().GetAmountMinor()
		}
	}
	for kind, sum := range moved {
		var booked int64
		err := s.db.Pool.QueryRow(t.Context(),
			`SELECT sum(amount_minor) FROM ledger WHERE kind = $1`, kind).Scan(&booked)
		if err != nil || booked != sum {
			t.Errorf("%s: got %d by the events and %d in the ledger (%v), want the same", kind, sum, booked, err)
		}
	}
}

// A client that waits no longer hears of nothing, and what was decided all the same is told.
func TestADecisionThatNobodyWaitsForIsTold(t *testing.T) {
	t.Parallel()
	s := start(t)
	charge := newCharge(9998) // a call that is answered UNAVAILABLE
	if _, err := s.ChargePayment(t.Context(), charge); err == nil {
		t.Fatal("got an answer, want it lost")
	}
	got := s.events(t, 2)
	charged := got[0].GetStatus() == paymentv1.Payment_STATUS_CHARGED && !got[0].GetRepeat()
	if !charged || got[1].GetCode() != "REPLY_LOST" {
		t.Errorf("got %v, want the charge, and that its reply was lost", got)
	}
}
