package story

import (
	"time"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// EventOf returns the id of the order that an event is about; empty where it is about none.
func EventOf(e *eventv1.Event) string {
	switch what := e.GetWhat().(type) {
	case *eventv1.Event_Order:
		return what.Order.GetOrderId()
	case *eventv1.Event_Delivery:
		return what.Delivery.GetOrderId()
	case *eventv1.Event_Payment:
		return what.Payment.GetPaymentId()
	}
	return ""
}

// EventLine is what an event about an order says: "payment charged", "CHARGE -> INTERNAL: charge undecided, again in
// 20ms", "CHARGE: CHARGED".
func EventLine(e *eventv1.Event) string {
	switch what := e.GetWhat().(type) {
	case *eventv1.Event_Order:
		return changeLine(what.Order)
	case *eventv1.Event_Delivery:
		return deliveryLine(what.Delivery)
	case *eventv1.Event_Payment:
		return decisionLine(what.Payment)
	}
	return ""
}

func changeLine(c *eventv1.OrderChange) string {
	if c.GetCancelReason() == orderv1.Order_CANCEL_REASON_UNSPECIFIED {
		return c.GetCause()
	}
	return c.GetCause() + ", reason " + word(c.GetCancelReason().String(), "CANCEL_REASON_")
}

func deliveryLine(d *eventv1.Delivery) string {
	text := Kind(d.GetKind()) + " -> " + d.GetCode() + ": " + d.GetCause()
	if d.GetRetryDelay() != nil {
		text += againIn(d.GetMeaning(), d.GetRetryDelay().AsDuration().Round(time.Millisecond).String())
	}
	return text
}

// againIn says when a command is delivered again. What a broker has may be settled by what comes of it before that.
func againIn(means relayv1.Attempt_Meaning, wait string) string {
	text := ", again in " + wait
	if wait == "0s" {
		text = ", again at once"
	}
	if means == relayv1.Attempt_MEANING_HANDED_OVER {
		text += " unless settled"
	}
	return text
}

func decisionLine(p *eventv1.PaymentDecision) string {
	text := Kind(p.GetKind()) + ": "
	switch {
	case p.GetStatus() == paymentv1.Payment_STATUS_UNSPECIFIED:
		return text + p.GetCode()
	case p.GetRepeat():
		return text + word(p.GetStatus().String(), "STATUS_") + ", as before"
	}
	return text + word(p.GetStatus().String(), "STATUS_")
}
