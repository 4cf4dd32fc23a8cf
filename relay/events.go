package main

import (
	"fmt"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/events"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
)

// delivered is the event of a delivery.
func (h *handler) delivered(r outbox.Report) events.Delivery {
	d := events.Delivery{
		OrderID: r.Message.Key, Kind: r.Message.Kind, Claim: r.Message.Claims + r.Message.Sends,
		Attempts: r.Message.Attempts, Code: r.Code, Meaning: meanings[r.Result], Latency: r.Took, Delay: r.Delay,
	}
	if r.Result == outbox.HandedOver {
		d.Cause, d.Again = fmt.Sprintf("send %d", r.Message.Sends+1), true
	} else {
		d.Cause, d.Again = eventOf(r, h.maxAttempts).String(), h.again(r)
	}
	return d
}

// meanings are those of the contract, for what the engine knows as results.
var meanings = [...]relayv1.Attempt_Meaning{
	outbox.Decided:    relayv1.Attempt_MEANING_DECIDED,
	outbox.Ambiguous:  relayv1.Attempt_MEANING_AMBIGUOUS,
	outbox.Blocked:    relayv1.Attempt_MEANING_BLOCKED,
	outbox.Deferred:   relayv1.Attempt_MEANING_BLOCKED,
	outbox.Refused:    relayv1.Attempt_MEANING_REFUSED,
	outbox.Conflict:   relayv1.Attempt_MEANING_CONFLICT,
	outbox.Expired:    relayv1.Attempt_MEANING_EXPIRED,
	outbox.Unreadable: relayv1.Attempt_MEANING_UNREADABLE,
	outbox.Withheld:   relayv1.Attempt_MEANING_BLOCKED,
	outbox.Stray:      relayv1.Attempt_MEANING_BLOCKED,
	outbox.HandedOver: relayv1.Attempt_MEANING_HANDED_OVER,
}

// changeOf is the event of a change of status.
func changeOf(c orderdb.Change) events.OrderChange {
	return events.OrderChange{
		OrderID: c.OrderID, From: c.From, To: c.To, Reason: c.Reason, Cause: c.Event.String(),
		AmountMinor: c.AmountMinor, Currency: c.Currency,
	}
}

// settledByHand is the event that an operator has settled an order. Only one that was given up before keeps its reason.
func settledByHand(o order.Order) events.OrderChange {
	from := order.Cancelling
	if o.CancelReason == order.ReasonOperator {
		from = order.Pending
	}
	return events.OrderChange{
		OrderID: o.ID, From: from, To: o.Status, Reason: o.CancelReason, Cause: order.OperatorSettles.String(),
		AmountMinor: o.AmountMinor, Currency: o.Currency,
	}
}

func traceparentOf(t *string) string {
	if t == nil {
		return ""
	}
	return *t
}
