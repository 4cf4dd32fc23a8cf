package events

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"hosho/internal/protowrite"
)

// Events are encoded by hand, with the numbers of the contract: there are several for each order, and as messages of
// their own, each with others in it, they would be a good part of what an order costs who is watched. A test holds them
// against the messages.

// append adds an event to a WatchEventsResponse.
func (e *event) append(b []byte, sequence int64) []byte {
	b, begin := protowrite.Begin(b, 5)
	b = protowrite.Number(b, 1, sequence)
	b = optional(protowrite.Time(b, 2, time.Unix(0, e.at)), 3, e.trace.get())
	b, what := protowrite.Begin(b, protowire.Number(e.sort))
	switch e.sort {
	case ofOrder:
		b = e.appendOrder(b)
	case ofDelivery:
		b = e.appendDelivery(b)
	case ofPayment:
		b = e.appendPayment(b)
	case ofBreaker:
		b = truth(protowrite.Number(b, 1, int64(e.kind)), 2, e.flag)
		b = optional(b, 3, e.code.get())
	case ofBacklog:
		b, _ = proto.MarshalOptions{}.MarshalAppend(b, e.backlog) // no text of it is anybody's but ours
	}
	return protowrite.End(protowrite.End(b, what), begin)
}

func (e *event) appendOrder(b []byte) []byte {
	b = optional(b, 1, e.id.get())
	b = protowrite.Number(protowrite.Number(b, 2, int64(e.from)), 3, int64(e.to))
	b = optional(protowrite.Number(b, 4, int64(e.reason)), 5, e.cause)
	return e.appendAmount(b, 6)
}

func (e *event) appendDelivery(b []byte) []byte {
	b = protowrite.Number(optional(b, 1, e.id.get()), 2, int64(e.kind))
	b = protowrite.Number(protowrite.Number(b, 3, int64(e.claim)), 4, int64(e.attempts))
	b = protowrite.Number(optional(b, 5, e.code.get()), 6, int64(e.meaning))
	b = protowrite.Duration(optional(b, 7, e.cause), 8, e.latency)
	if e.flag {
		b = protowrite.Duration(b, 9, e.delay)
	}
	return b
}

func (e *event) appendPayment(b []byte) []byte {
	b = protowrite.Number(optional(b, 1, e.id.get()), 2, int64(e.kind))
	b = protowrite.Number(protowrite.Number(b, 3, int64(e.to)), 4, int64(e.reason))
	return e.appendAmount(truth(optional(b, 5, e.code.get()), 6, e.flag), 7)
}

// appendAmount adds nothing where there is no amount.
func (e *event) appendAmount(b []byte, field protowire.Number) []byte {
	if e.currency.size == 0 {
		return b
	}
	b, begin := protowrite.Begin(b, field)
	return protowrite.End(protowrite.Number(protowrite.Text(b, 1, e.currency.get()), 2, e.amountMinor), begin)
}

// optional is protowrite.Text, but for the empty text, which is what a field is that is not there.
func optional[T string | []byte](b []byte, field protowire.Number, text T) []byte {
	if len(text) == 0 {
		return b
	}
	return protowrite.Text(b, field, text)
}

func truth(b []byte, field protowire.Number, is bool) []byte {
	if is {
		b = protowrite.Number(b, field, 1)
	}
	return b
}
