package main

import (
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
)

// eventOf translates what became of a command into what it means to its order, as the table of classes in doc/rules.md
// has it. maxAttempts is the budget of a charge; a void has none.
func eventOf(r outbox.Report, maxAttempts int) order.Event {
	if r.Result == outbox.Decided {
		return decisionOf(r.Body.(*paymentv1.Payment)) // dispatch put it there
	}
	if order.Command(r.Message.Kind) == order.Void {
		switch r.Result {
		case outbox.Conflict:
			return order.VoidConflict
		case outbox.Unreadable:
			return order.VoidUnreadable
		}
		return order.VoidUndecided // refused, too: compensation is never abandoned (rule 7)
	}
	switch r.Result {
	case outbox.Ambiguous:
		if r.Message.Attempts+1 >= maxAttempts {
			return order.ChargeSpent
		}
		return order.ChargeUndecided
	case outbox.Refused, outbox.Unreadable:
		return order.ChargeRefused
	case outbox.Conflict:
		return order.ChargeConflict
	case outbox.Expired:
		return order.ChargeLate
	}
	return order.ChargeUndecided // blocked
}

// toldBy returns the payment that a decision tells of; the zero value, which is nobody's, where there is none.
func toldBy(r outbox.Report) orderdb.Told {
	if r.Result != outbox.Decided {
		return orderdb.Told{}
	}
	p := r.Body.(*paymentv1.Payment)
	return orderdb.Told{
		CustomerID: p.GetCustomerId(), AmountMinor: p.GetAmount().GetAmountMinor(),
		Currency: p.GetAmount().GetCurrencyCode(),
	}
}

func decisionOf(p *paymentv1.Payment) order.Event {
	switch p.GetStatus() {
	case paymentv1.Payment_STATUS_CHARGED:
		return order.PaymentCharged
	case paymentv1.Payment_STATUS_DECLINED:
		if p.GetDeclineReason() == paymentv1.Payment_DECLINE_REASON_EXPIRED {
			return order.PaymentExpired
		}
		return order.PaymentDeclined
	case paymentv1.Payment_STATUS_REFUNDED:
		return order.PaymentRefunded
	}
	return order.PaymentVoided // dispatch takes nothing else for a decision
}
