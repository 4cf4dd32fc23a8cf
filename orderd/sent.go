package main

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
)

// sentOrder is an order of a stream, with room for what most of them have. Its strings are parts of one, which is as
// large as the order and lives as long.
type sentOrder struct {
	sequenced orderv1.SequencedOrder
	order     orderv1.CreateOrderRequest
	requestID string
	item      orderv1.Item
	items     [1]*orderv1.Item
}

// ordersIn reads the orders of a CreateOrdersRequest, of which there are n. What looks as clients write it is read by
// hand, with the numbers of the contract: as messages that are looked up, made and visited orders took two thirds more,
// and nine allocations each. All else is left to protobuf, and whoever reads it, the messages are the same.
func ordersIn(message []byte, n int) ([]*orderv1.SequencedOrder, error) {
	if orders, plain := plainOrders(message, n); plain {
		return orders, nil
	}
	var request orderv1.CreateOrdersRequest
	if proto.Unmarshal(message, &request) != nil || len(request.GetOrders()) != n {
		return nil, errUndecodable()
	}
	return request.GetOrders(), nil
}

// plainOrders returns nothing unless it knows all that is in a request, and each thing is there once.
func plainOrders(message []byte, n int) (orders []*orderv1.SequencedOrder, plain bool) {
	all := make([]sentOrder, n)
	orders = make([]*orderv1.SequencedOrder, n)
	for i := range all {
		number, kind, tag := protowire.ConsumeTag(message)
		if number != 1 || kind != protowire.BytesType {
			return nil, false
		}
		body, length := protowire.ConsumeBytes(message[tag:])
		if length < 0 || !all[i].read(string(body)) {
			return nil, false
		}
		orders[i], message = &all[i].sequenced, message[tag+length:]
	}
	return orders, len(message) == 0
}

func (s *sentOrder) read(message string) (plain bool) {
	for plain = true; plain && message != ""; {
		var f sentField
		f, message, plain = fieldOf(message)
		switch f.tag {
		case number(1):
			s.sequenced.Sequence = int64(f.number)
		case text(2):
			plain = plain && s.sequenced.Order == nil && s.readOrder(f.text)
			s.sequenced.Order = &s.order
		case number(3):
			s.sequenced.TellSettled = f.number != 0
		default:
			return false
		}
	}
	return plain
}

func (s *sentOrder) readOrder(message string) (plain bool) {
	o := &s.order
	o.Items = s.items[:0]
	for plain = true; plain && message != ""; {
		var f sentField
		f, message, plain = fieldOf(message)
		switch f.tag {
		case text(1):
			o.CustomerId = f.text
		case text(2):
			item := &s.item
			if len(o.Items) > 0 {
				item = &orderv1.Item{}
			}
			o.Items = append(o.Items, item)
			plain = plain && readItem(item, f.text)
			continue // it is no text
		case text(3):
			o.CurrencyCode = f.text
		case text(4):
			s.requestID, o.RequestId = f.text, &s.requestID
		default:
			return false
		}
		plain = plain && utf8.ValidString(f.text)
	}
	return plain
}

func readItem(item *orderv1.Item, message string) (plain bool) {
	for plain = true; plain && message != ""; {
		var f sentField
		f, message, plain = fieldOf(message)
		switch f.tag {
		case text(1):
			item.Name = f.text
			plain = plain && utf8.ValidString(f.text)
		case number(2):
			item.Quantity = int32(f.number)
		case number(3):
			item.UnitPrice = int64(f.number)
		default:
			return false
		}
	}
	return plain
}

// sentField is a field of a message: a number, or a text, which may be a message.
type sentField struct {
	tag    uint64
	number uint64
	text   string
}

// number and text are the tags of a field.
func number(field uint64) uint64 { return field<<3 | uint64(protowire.VarintType) }
func text(field uint64) uint64   { return field<<3 | uint64(protowire.BytesType) }

// fieldOf returns the first field of a message, and the others.
func fieldOf(message string) (f sentField, rest string, plain bool) {
	f.tag, rest, plain = varintOf(message)
	if !plain {
		return f, "", false
	}
	f.number, rest, plain = varintOf(rest)
	if plain && protowire.Type(f.tag&7) == protowire.BytesType {
		if f.number > uint64(len(rest)) {
			return f, "", false
		}
		f.text, rest = rest[:f.number], rest[f.number:]
	}
	return f, rest, plain
}

// varintOf returns the number that a message begins with, unless it is longer than a positive one. Most have one byte.
func varintOf(message string) (n uint64, rest string, plain bool) {
	if len(message) > 0 && message[0] < 0x80 {
		return uint64(message[0]), message[1:], true
	}
	return longVarintOf(message)
}

func longVarintOf(message string) (n uint64, rest string, plain bool) {
	for i := range min(len(message), 9) {
		n |= uint64(message[i]&0x7f) << (7 * i)
		if message[i] < 0x80 {
			return n, message[i+1:], true
		}
	}
	return 0, "", false
}
