package main

import (
	"hosho/internal/events"
	"hosho/internal/order"
)

// accepting is what the log and the events call the cause of an order's being there.
const accepting = "accepted"

// accepted is the event that an order is new.
func accepted(o order.Order) events.OrderChange { return changed(o, "", accepting) }

// cancelled is the event that a customer has given an order up.
func cancelled(o order.Order) events.OrderChange {
	from := order.Pending
	if o.State().AfterCompleted {
		from = order.Completed
	}
	return changed(o, from, order.CustomerCancels.String())
}

func changed(o order.Order, from order.Status, cause string) events.OrderChange {
	return events.OrderChange{
		OrderID: o.ID, From: from, To: o.Status, Reason: o.CancelReason, Cause: cause,
		AmountMinor: o.AmountMinor, Currency: o.Currency,
	}
}
