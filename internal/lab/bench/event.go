package bench

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orderv1 "hosho/gen/order/v1"
)

// event is what a load wants to know of an OrderEvent.
type event struct {
	sequence     int64
	acknowledged bool
	settled      *orderv1.OrderSettled // nil unless it is that
	refused      *orderv1.OrderError   // nil unless it is that
}

var (
	responseFields = (&orderv1.CreateOrdersResponse{}).ProtoReflect().Descriptor().Fields()
	eventFields    = (&orderv1.OrderEvent{}).ProtoReflect().Descriptor().Fields()

	eventsNumber       = responseFields.ByName("events").Number()
	sequenceNumber     = eventFields.ByName("sequence").Number()
	acknowledgedNumber = eventFields.ByName("acknowledged").Number()
	settledNumber      = eventFields.ByName("settled").Number()
	refusedNumber      = eventFields.ByName("refused").Number()

	orderFields = (&orderv1.Order{}).ProtoReflect().Descriptor().Fields()

	orderNumber  = (&orderv1.CreateOrderResponse{}).ProtoReflect().Descriptor().Fields().ByName("order").Number()
	idNumber     = orderFields.ByName("order_id").Number()
	statusNumber = orderFields.ByName("status").Number()
	reasonNumber = orderFields.ByName("cancel_reason").Number()
)

// eventsIn reads a CreateOrdersResponse. Nobody looks at the order that comes with an acknowledgement, and to make a
// message of it took as long as all that is done with the others.
func eventsIn(message []byte) (events []event, err error) {
	err = eachField(message, func(number protoreflect.FieldNumber, body []byte, _ uint64) error {
		if number != eventsNumber {
			return nil
		}
		e, err := readEvent(body)
		events = append(events, e)
		return err
	})
	return events, err
}

// orderIn reads of a CreateOrderResponse what a load wants to know of the order: its id, its status and why it was
// cancelled.
func orderIn(message []byte) (o *orderv1.Order, err error) {
	o = &orderv1.Order{}
	read := func(number protoreflect.FieldNumber, body []byte, value uint64) error {
		switch number {
		case idNumber:
			o.OrderId = string(body)
		case statusNumber:
			o.Status = orderv1.Order_Status(value)
		case reasonNumber:
			o.CancelReason = orderv1.Order_CancelReason(value)
		}
		return nil
	}
	err = eachField(message, func(number protoreflect.FieldNumber, body []byte, _ uint64) error {
		if number != orderNumber {
			return nil
		}
		return eachField(body, read)
	})
	return o, err
}

func readEvent(message []byte) (e event, err error) {
	err = eachField(message, func(number protoreflect.FieldNumber, body []byte, value uint64) error {
		switch number {
		case sequenceNumber:
			e.sequence = int64(value)
		case acknowledgedNumber:
			e.acknowledged = true
		case settledNumber:
			e.settled = &orderv1.OrderSettled{}
			return proto.Unmarshal(body, e.settled)
		case refusedNumber:
			e.refused = &orderv1.OrderError{}
			return proto.Unmarshal(body, e.refused)
		}
		return nil
	})
	return e, err
}

// eachField calls do for each field of a message, with the bytes or the number in it.
func eachField(
	message []byte, do func(number protoreflect.FieldNumber, body []byte, value uint64) error,
) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var body []byte
		var value uint64
		switch kind {
		case protowire.BytesType:
			body, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := do(number, body, value); err != nil {
			return err
		}
	}
	return nil
}
