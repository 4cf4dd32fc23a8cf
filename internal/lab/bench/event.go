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
	completed    bool                  // it is settled as it must be, of which there is no more to say
	settled      *orderv1.OrderSettled // nil unless it is settled in another way
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
	endNumber          = (&orderv1.OrderSettled{}).ProtoReflect().Descriptor().Fields().ByName("status").Number()
)

// eventsIn adds the events of a CreateOrdersResponse to some. Nobody looks at the order that comes with an
// acknowledgement, and to make a message of it took as long as all that is done with the others.
func eventsIn(events []event, message []byte) ([]event, error) {
	err := eachField(message, func(number protoreflect.FieldNumber, body []byte, _ uint64) error {
		if number != eventsNumber {
			return nil
		}
		e, err := readEvent(body)
		events = append(events, e)
		return err
	})
	return events, err
}

func readEvent(message []byte) (e event, err error) {
	err = eachField(message, func(number protoreflect.FieldNumber, body []byte, value uint64) error {
		switch number {
		case sequenceNumber:
			e.sequence = int64(value)
		case acknowledgedNumber:
			e.acknowledged = true
		case settledNumber:
			if e.completed = isCompleted(body); e.completed {
				return nil
			}
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

// isCompleted reports whether a message says that an order is COMPLETED. One that cannot be read does not.
func isCompleted(message []byte) bool {
	var status uint64
	err := eachField(message, func(number protoreflect.FieldNumber, _ []byte, value uint64) error {
		if number == endNumber {
			status = value
		}
		return nil
	})
	return err == nil && status == uint64(orderv1.Order_STATUS_COMPLETED)
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
