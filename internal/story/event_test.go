package story

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

func TestEventsInWords(t *testing.T) {
	t.Parallel()
	const charge, void = relayv1.ParkedCommand_KIND_CHARGE, relayv1.ParkedCommand_KIND_VOID
	for want, e := range map[string]*eventv1.Event{
		"accepted": {What: &eventv1.Event_Order{Order: &eventv1.OrderChange{OrderId: "1", Cause: "accepted"}}},
		"attempts spent, reason PAYMENT_FAILED": {What: &eventv1.Event_Order{Order: &eventv1.OrderChange{
			OrderId: "1", Cause: "attempts spent", CancelReason: orderv1.Order_CANCEL_REASON_PAYMENT_FAILED,
		}}},
		"CHARGE -> BUSY: charge undecided, again in 20ms": {What: &eventv1.Event_Delivery{Delivery: &eventv1.Delivery{
			OrderId: "1", Kind: charge, Code: "BUSY", Cause: "charge undecided",
			RetryDelay: durationpb.New(20*time.Millisecond + 7),
		}}},
		"CHARGE -> HANDED_OVER: send 1, again in 1s unless settled": {What: &eventv1.Event_Delivery{
			Delivery: &eventv1.Delivery{
				OrderId: "1", Kind: charge, Code: "HANDED_OVER", Cause: "send 1",
				Meaning: relayv1.Attempt_MEANING_HANDED_OVER, RetryDelay: durationpb.New(time.Second),
			},
		}},
		"VOID -> OK: payment voided": {What: &eventv1.Event_Delivery{Delivery: &eventv1.Delivery{
			OrderId: "1", Kind: void, Code: "OK", Cause: "payment voided",
		}}},
		"CHARGE: CHARGED": {What: &eventv1.Event_Payment{Payment: &eventv1.PaymentDecision{
			PaymentId: "1", Kind: charge, Status: paymentv1.Payment_STATUS_CHARGED,
		}}},
		"CHARGE: CHARGED, as before": {What: &eventv1.Event_Payment{Payment: &eventv1.PaymentDecision{
			PaymentId: "1", Kind: charge, Status: paymentv1.Payment_STATUS_CHARGED, Repeat: true,
		}}},
		"VOID: KEY_REUSED": {What: &eventv1.Event_Payment{Payment: &eventv1.PaymentDecision{
			PaymentId: "1", Kind: void, Code: "KEY_REUSED",
		}}},
	} {
		if got := EventLine(e); got != want || EventOf(e) != "1" {
			t.Errorf("got %q of order %q, want %q of 1", got, EventOf(e), want)
		}
	}
	breaker := &eventv1.Event{What: &eventv1.Event_Breaker{Breaker: &eventv1.BreakerChange{}}}
	if EventOf(breaker) != "" || EventLine(breaker) != "" {
		t.Error("got a breaker's event to be about an order")
	}
}
