package command

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/protoread"
)

// Decoder is Decode for commands by the hundred. Those that are just what Encode makes, which nearly all are, it reads
// by hand, and what they are made of is made for some of them at once: for so few that one which is kept, because it is
// not answered, keeps no crowd of others.
type Decoder struct{ room []decoded }

// together is for how many commands room is made at once.
const together = 16

// decoded is what a charge is made of.
type decoded struct {
	command paymentv1.PaymentCommand
	outcome paymentv1.PaymentCommand_Charge
	charge  paymentv1.ChargePaymentRequest
	amount  moneyv1.Money
	end     timestamppb.Timestamp
}

// Decode returns what Decode returns.
func (d *Decoder) Decode(kind order.Command, orderID string, payload []byte) (*paymentv1.PaymentCommand, error) {
	if kind == order.Charge {
		if len(d.room) == 0 {
			d.room = make([]decoded, together)
		}
		into := &d.room[0]
		d.room = d.room[1:]
		if into.read(string(payload)) && into.charge.PaymentId == orderID {
			return &into.command, nil
		}
	}
	return Decode(kind, orderID, payload)
}

// read reads a charge, and reports whether it has what every charge has and nothing else.
func (d *decoded) read(payload string) bool {
	into, r := &d.charge, protoread.Read(payload)
	for field, more := r.Next(); more; field, more = r.Next() {
		whole := true
		switch field {
		case protoread.Of(1, protoread.Bytes):
			into.PaymentId = r.Text()
		case protoread.Of(2, protoread.Bytes):
			into.CustomerId = r.Text()
		case protoread.Of(3, protoread.Bytes):
			whole = into.Amount == nil && protoread.Money(&d.amount, r.Message())
			into.Amount = &d.amount
		case protoread.Of(4, protoread.Bytes):
			whole = into.NotAfter == nil && protoread.Timestamp(&d.end, r.Message())
			into.NotAfter = &d.end
		default:
			return false
		}
		if !whole {
			return false
		}
	}
	d.outcome.Charge, d.command.Command = into, &d.outcome
	return r.Whole() && into.CustomerId != "" && into.Amount != nil && into.NotAfter != nil
}
