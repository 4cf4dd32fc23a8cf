package console

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/console/board"
	"hosho/internal/money"
	"hosho/internal/span"
	"hosho/internal/story"
)

// happening is what an event says, in words.
func (v *view) happening(h board.Happening) string {
	switch e := h.Event; {
	case e == nil:
		return v.words.text("daemon.is."+h.State, h.Daemon, h.Address)
	case e.GetOrder() != nil:
		return v.change(e.GetOrder())
	case e.GetDelivery() != nil:
		return v.delivery(e.GetDelivery())
	case e.GetPayment() != nil:
		return v.payment(e.GetPayment())
	case e.GetBreaker() != nil:
		return v.breaker(e.GetBreaker())
	}
	return ""
}

func (v *view) change(c *eventv1.OrderChange) string {
	amount := money.Local(c.GetAmount().GetAmountMinor(), c.GetAmount().GetCurrencyCode(), v.lang)
	if c.GetTo() == orderv1.Order_STATUS_PENDING {
		return v.words.text("happened.accepted", amount)
	}
	return v.words.text("happened.change", story.Status(c.GetTo()), v.said("cause.", c.GetCause()), amount)
}

func (v *view) delivery(d *eventv1.Delivery) string {
	kind := story.Kind(d.GetKind())
	if d.GetRetryDelay() != nil {
		return v.words.text("happened.again", kind, d.GetCode(), span.Text(d.GetRetryDelay().AsDuration()))
	}
	return v.words.text("happened.delivery", kind, d.GetCode(), v.said("cause.", d.GetCause()))
}

func (v *view) payment(p *eventv1.PaymentDecision) string {
	if p.GetStatus() == paymentv1.Payment_STATUS_UNSPECIFIED {
		return v.words.text("happened.undecided", story.Kind(p.GetKind()), p.GetCode())
	}
	status := name(p.GetStatus())
	amount := money.Local(p.GetAmount().GetAmountMinor(), p.GetAmount().GetCurrencyCode(), v.lang)
	if p.GetRepeat() {
		return v.words.text("happened.repeat", status, amount)
	}
	return v.words.text("happened.payment", status, amount)
}

func (v *view) breaker(b *eventv1.BreakerChange) string {
	if b.GetOpen() {
		return v.words.text("happened.opened", story.Kind(b.GetKind()), b.GetCode())
	}
	return v.words.text("happened.closed", story.Kind(b.GetKind()))
}

// orderOf is the order that an event is about, if it is about one.
func orderOf(h board.Happening) string {
	for _, id := range []string{
		h.Event.GetOrder().GetOrderId(), h.Event.GetDelivery().GetOrderId(), h.Event.GetPayment().GetPaymentId(),
	} {
		if id != "" {
			return id
		}
	}
	return ""
}

// tone is the class of an event: that of the status that an order came to, or bad for what stands in the way.
func tone(h board.Happening) string {
	switch e := h.Event; {
	case e == nil && h.State == string(ready):
		return "completed"
	case e == nil, e.GetBreaker().GetOpen(), e.GetDelivery().GetRetryDelay() != nil:
		return "bad"
	case e.GetOrder() != nil:
		return class(e.GetOrder().GetTo())
	}
	return ""
}

// class is the class of a status of an order.
func class(s orderv1.Order_Status) string { return strings.ToLower(story.Status(s)) }

// name is the name of a value without that of its enum, which both of them begin with.
func name(e protoreflect.Enum) string {
	value := string(e.Descriptor().Values().ByNumber(e.Number()).Name())
	_, own, _ := strings.Cut(value, "_")
	return own
}

// said is what somebody said in English, in the language of the view, if it is known there.
func (v *view) said(prefix, text string) string {
	key := prefix + strings.ReplaceAll(text, " ", "_")
	if v.words.has(key) {
		return v.words.text(key)
	}
	return text
}
