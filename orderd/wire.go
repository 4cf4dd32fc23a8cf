package main

import (
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"hosho/internal/order"
)

// wire is messages that are encoded by hand, with the numbers of the contract: the two events of every order of a
// stream. As messages with eight others in them, each of which is made, measured and visited, they were a tenth of
// what an order costs this process. Whatever toOrder has is here, which a test holds against it.
type wire []byte

// acknowledged appends a CreateOrdersResponse with the event that an order is accepted.
func (w wire) acknowledged(sequence int64, o order.Order) wire {
	return w.message(1, func(w wire) wire {
		return w.number(1, sequence).message(2, func(w wire) wire { return w.order(o) })
	})
}

// settled appends one with the event that it is settled.
func (w wire) settled(sequence int64, o order.Order) wire {
	return w.message(1, func(w wire) wire {
		return w.number(1, sequence).message(3, func(w wire) wire {
			return w.text(1, o.ID).number(2, int64(toStatusOf(o))).number(3, int64(toReason(o))).time(4, o.UpdatedAt)
		})
	})
}

// order appends the fields of an Order.
func (w wire) order(o order.Order) wire {
	w = w.text(1, o.ID).text(2, o.CustomerID)
	for _, item := range o.Items {
		w = w.message(3, func(w wire) wire {
			return w.text(1, item.Name).number(2, int64(item.Quantity)).number(3, item.UnitPrice)
		})
	}
	w = w.message(4, func(w wire) wire { return w.text(1, o.Currency).number(2, o.AmountMinor) })
	w = w.number(5, int64(toStatusOf(o))).number(6, int64(toReason(o)))
	return w.time(7, o.CreatedAt).time(8, o.UpdatedAt).time(9, o.DeadlineAt)
}

func (w wire) time(field protowire.Number, t time.Time) wire {
	return w.message(field, func(w wire) wire { return w.number(1, t.Unix()).number(2, int64(t.Nanosecond())) })
}

func (w wire) text(field protowire.Number, s string) wire {
	return protowire.AppendString(protowire.AppendTag(w, field, protowire.BytesType), s)
}

func (w wire) number(field protowire.Number, n int64) wire {
	return protowire.AppendVarint(protowire.AppendTag(w, field, protowire.VarintType), uint64(n))
}

// message appends a message. Its length stands before it, and has one byte until it turns out to need more.
func (w wire) message(field protowire.Number, fields func(wire) wire) wire {
	w = append(protowire.AppendTag(w, field, protowire.BytesType), 0)
	begin := len(w)
	w = fields(w)
	if length := len(w) - begin; length < 1<<7 {
		w[begin-1] = byte(length)
		return w
	}
	length := protowire.AppendVarint(make([]byte, 0, 10), uint64(len(w)-begin))
	return slices.Replace(w, begin-1, begin, length...)
}
