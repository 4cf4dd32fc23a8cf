package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
)

const (
	charged  = paymentv1.Payment_STATUS_CHARGED
	declined = paymentv1.Payment_STATUS_DECLINED
	voided   = paymentv1.Payment_STATUS_VOIDED
	refunded = paymentv1.Payment_STATUS_REFUNDED
)

func (s *system) charge(t *testing.T, r *paymentv1.ChargePaymentRequest) *paymentv1.Payment {
	t.Helper()
	reply, err := s.ChargePayment(t.Context(), r)
	if err != nil {
		t.Fatalf("charge %v: %v", r, err)
	}
	return reply.GetPayment()
}

func (s *system) void(t *testing.T, r *paymentv1.VoidPaymentRequest) *paymentv1.Payment {
	t.Helper()
	reply, err := s.VoidPayment(t.Context(), r)
	if err != nil {
		t.Fatalf("void %v: %v", r, err)
	}
	return reply.GetPayment()
}

// wantPayment compares all but the times, which must be set.
func wantPayment(t *testing.T, got *paymentv1.Payment, c *paymentv1.ChargePaymentRequest, s paymentv1.Payment_Status) {
	t.Helper()
	want := &paymentv1.Payment{
		PaymentId: strings.ToLower(c.GetPaymentId()), CustomerId: c.GetCustomerId(), Amount: c.GetAmount(), Status: s,
	}
	ignored := protocmp.IgnoreFields(&paymentv1.Payment{}, "create_time", "update_time", "decline_reason")
	if diff := cmp.Diff(want, got, protocmp.Transform(), ignored); diff != "" {
		t.Errorf("payment (-want +got):\n%s", diff)
	}
	if !got.GetCreateTime().IsValid() || got.GetUpdateTime().AsTime().Before(got.GetCreateTime().AsTime()) {
		t.Errorf("got created %v, updated %v, want both, in this order", got.GetCreateTime(), got.GetUpdateTime())
	}
}

func TestAChargeIsTakenOnceAndAVoidGivesItBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(500)

	first := s.charge(t, c)
	wantPayment(t, first, c, charged)
	if diff := cmp.Diff(first, s.charge(t, c), protocmp.Transform()); diff != "" {
		t.Errorf("asked again (-first +again):\n%s", diff)
	}
	back := s.void(t, voidOf(c))
	wantPayment(t, back, c, refunded)
	if diff := cmp.Diff(back, s.void(t, voidOf(c)), protocmp.Transform()); diff != "" {
		t.Errorf("voided again (-first +again):\n%s", diff)
	}
	wantPayment(t, s.charge(t, c), c, refunded)
	wantLedger(t, s, c, paymentv1.LedgerEntry_KIND_CHARGE, paymentv1.LedgerEntry_KIND_REFUND)
}

// wantLedger asks for a payment, and compares its ledger.
func wantLedger(t *testing.T, s *system, c *paymentv1.ChargePaymentRequest, kinds ...paymentv1.LedgerEntry_Kind) {
	t.Helper()
	got, err := s.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{PaymentId: c.GetPaymentId()})
	if err != nil {
		t.Fatal(err)
	}
	var want []*paymentv1.LedgerEntry
	for _, kind := range kinds {
		want = append(want, &paymentv1.LedgerEntry{Kind: kind, Amount: c.GetAmount()})
	}
	ignored := protocmp.IgnoreFields(&paymentv1.LedgerEntry{}, "create_time")
	if diff := cmp.Diff(want, got.GetLedger(), protocmp.Transform(), ignored); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	for i, entry := range got.GetLedger() {
		if !entry.GetCreateTime().IsValid() {
			t.Errorf("entry %d: got time %v, want one", i, entry.GetCreateTime())
		}
	}
}

func TestAChargeThatComesAfterItsVoidTakesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(500)
	wantPayment(t, s.void(t, voidOf(c)), c, voided)
	wantPayment(t, s.void(t, voidOf(c)), c, voided)
	wantPayment(t, s.charge(t, c), c, voided)
	wantLedger(t, s, c)
}

func TestADeclineIsAReplyAndStays(t *testing.T) {
	t.Parallel()
	s := start(t)
	poor := newCharge(9996)
	late := newCharge(500)
	late.NotAfter = timestamppb.New(time.Now().Add(-time.Hour))
	ancient := newCharge(500)
	ancient.NotAfter = timestamppb.New(time.Time{}) // Go's zero time was sent, which is not the same as none
	for reason, charges := range map[paymentv1.Payment_DeclineReason][]*paymentv1.ChargePaymentRequest{
		paymentv1.Payment_DECLINE_REASON_INSUFFICIENT_FUNDS: {poor},
		paymentv1.Payment_DECLINE_REASON_EXPIRED:            {late, ancient},
	} {
		for _, c := range charges {
			first := s.charge(t, c)
			wantPayment(t, first, c, declined)
			if first.GetDeclineReason() != reason {
				t.Errorf("got reason %s, want %s", first.GetDeclineReason(), reason)
			}
			c.NotAfter = nil
			wantPayment(t, s.charge(t, c), c, declined)
			wantPayment(t, s.void(t, voidOf(c)), c, declined)
		}
	}
}

func TestAChargeInTimeIsTaken(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(500)
	c.NotAfter = timestamppb.New(time.Now().Add(time.Hour))
	wantPayment(t, s.charge(t, c), c, charged)
}

func TestTheSmallestAndTheLargestAmountAreTaken(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, amount := range []int64{1, payment.MaxAmount} {
		c := newCharge(amount)
		wantPayment(t, s.charge(t, c), c, charged)
	}
}

func TestGetPaymentReturnsWhatIsStored(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, id := range []string{
		"", "abc", "{0190b6a4-7c5e-7d3a-8f00-0123456789ab}", "0190b6a4-7c5e-7d3a-8f00-0123456789ab0",
	} {
		_, err := s.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{PaymentId: id})
		wantInvalid(t, err, "payment_id")
	}
	_, err := s.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{PaymentId: newID()})
	wantError(t, err, codes.NotFound, "PAYMENT_NOT_FOUND")
	c := newCharge(500)
	s.charge(t, c)
	got, err := s.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{PaymentId: strings.ToUpper(c.GetPaymentId())})
	if err != nil {
		t.Fatal(err)
	}
	wantPayment(t, got.GetPayment(), c, charged)
}

func TestTheSimulatedNetworkFailsNewChargesOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, amount := range []int64{9999, 9998, 9997} {
		c := newCharge(amount)
		wantPayment(t, s.void(t, voidOf(c)), c, voided)
		wantPayment(t, s.charge(t, c), c, voided)
	}
}

func TestASimulatedFailureWritesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(9999)
	_, err := s.ChargePayment(t.Context(), c)
	wantError(t, err, codes.Internal, "INTERNAL")
	if n := s.count(t, "payments", c.GetPaymentId()); n != 0 {
		t.Errorf("got %d payments, want none", n)
	}
	lines := s.log.about(c.GetPaymentId())
	if len(lines) != 1 || lines[0]["error"] != "simulated failure" {
		t.Errorf("got log %v, want one line that says: simulated failure", lines)
	}
}

func TestALostReplyIsLostOnceAndTheChargeIsMade(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(9998)
	_, err := s.ChargePayment(t.Context(), c)
	wantError(t, err, codes.Unavailable, "REPLY_LOST")
	wantPayment(t, s.charge(t, c), c, charged)
	if n := s.count(t, "ledger", c.GetPaymentId()); n != 1 {
		t.Errorf("got %d ledger entries, want one charge", n)
	}
}

func TestAHangLastsUntilTheCallersDeadlineAndWritesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(9997)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.ChargePayment(ctx, c)
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want DEADLINE_EXCEEDED", err)
	}
	if n := s.count(t, "payments", c.GetPaymentId()); n != 0 {
		t.Errorf("got %d payments, want none", n)
	}
}

func TestAHangOfACallWithoutDeadlineEndsByItself(t *testing.T) {
	t.Parallel()
	s := start(t, func(s *server) { s.cardTimeout = time.Millisecond })
	_, err := s.ChargePayment(t.Context(), newCharge(9997))
	wantError(t, err, codes.DeadlineExceeded, "CARD_NETWORK_TIMEOUT")
}
