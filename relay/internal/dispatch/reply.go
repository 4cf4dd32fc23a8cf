package dispatch

import (
	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/outbox"
)

// asked is what a charge and a void have in common.
type asked interface {
	GetPaymentId() string
	GetCustomerId() string
	GetAmount() *moneyv1.Money
}

func askedBy(c *paymentv1.PaymentCommand) asked {
	if v := c.GetVoid(); v != nil {
		return v
	}
	return c.GetCharge()
}

// decide notes in a report what an OK reply means. It is a decision only if it carries a durable outcome and speaks of
// the payment that was asked about; anything else may be a bug, another version, or somebody else's reply.
func decide(r *outbox.Report, want asked, got *paymentv1.Payment) {
	switch {
	case !decides(order.Command(r.Message.Kind), got): // asked first: no payment at all is no other payment
		r.Result, r.Code = outbox.Ambiguous, codeUnknown
	case !echoes(want, got):
		r.Result, r.Code = outbox.Conflict, codeEcho
	default:
		r.Result, r.Code, r.Body = outbox.Decided, "OK", got
	}
}

func echoes(want asked, got *paymentv1.Payment) bool {
	return got.GetPaymentId() == want.GetPaymentId() &&
		got.GetCustomerId() == want.GetCustomerId() &&
		got.GetAmount().GetAmountMinor() == want.GetAmount().GetAmountMinor() &&
		got.GetAmount().GetCurrencyCode() == want.GetAmount().GetCurrencyCode()
}

// decides reports whether a payment's status settles a command. CHARGED settles no void: it is what the void undoes.
func decides(kind order.Command, got *paymentv1.Payment) bool {
	switch got.GetStatus() {
	case paymentv1.Payment_STATUS_CHARGED:
		return kind == order.Charge
	case paymentv1.Payment_STATUS_DECLINED, paymentv1.Payment_STATUS_VOIDED, paymentv1.Payment_STATUS_REFUNDED:
		return true
	}
	return false
}
