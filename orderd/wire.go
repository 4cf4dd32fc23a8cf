package main

import (
	"hosho/internal/order"
	"hosho/internal/protowrite"
)

// wire is messages that are encoded by hand, with the numbers of the contract: the two events of every order of a
// stream. As messages with eight others in them, each of which is made, measured and visited, they were a tenth of
// what an order costs this process. Whatever toOrder has is here, which a test holds against it.
type wire []byte

// acknowledged appends a CreateOrdersResponse with the event that an order is accepted.
func (w wire) acknowledged(sequence int64, o order.Order) wire {
	b, response := protowrite.Begin(w, 1)
	b, event := protowrite.Begin(protowrite.Number(b, 1, sequence), 2)
	return protowrite.End(protowrite.End(appendOrder(b, &o), event), response)
}

// settled appends one with the event that it is settled.
func (w wire) settled(sequence int64, o order.Order) wire {
	b, response := protowrite.Begin(w, 1)
	b, event := protowrite.Begin(protowrite.Number(b, 1, sequence), 3)
	b = protowrite.Number(protowrite.Text(b, 1, o.ID), 2, int64(toStatusOf(o)))
	b = protowrite.Time(protowrite.Number(b, 3, int64(toReason(o))), 4, o.UpdatedAt)
	return protowrite.End(protowrite.End(b, event), response)
}

// appendOrder appends the fields of an Order.
func appendOrder(b []byte, o *order.Order) []byte {
	b = protowrite.Text(protowrite.Text(b, 1, o.ID), 2, o.CustomerID)
	begin := 0
	for i := range o.Items {
		item := &o.Items[i]
		b, begin = protowrite.Begin(b, 3)
		b = protowrite.Number(protowrite.Text(b, 1, item.Name), 2, int64(item.Quantity))
		b = protowrite.End(protowrite.Number(b, 3, item.UnitPrice), begin)
	}
	b, begin = protowrite.Begin(b, 4)
	b = protowrite.End(protowrite.Number(protowrite.Text(b, 1, o.Currency), 2, o.AmountMinor), begin)
	b = protowrite.Number(protowrite.Number(b, 5, int64(toStatusOf(*o))), 6, int64(toReason(*o)))
	return protowrite.Time(protowrite.Time(protowrite.Time(b, 7, o.CreatedAt), 8, o.UpdatedAt), 9, o.DeadlineAt)
}
