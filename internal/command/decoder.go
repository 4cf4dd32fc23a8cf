package command

import (
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
	charge  protoread.Charge
}

// Decode returns what Decode returns.
func (d *Decoder) Decode(kind order.Command, orderID string, payload []byte) (*paymentv1.PaymentCommand, error) {
	if kind == order.Charge {
		if len(d.room) == 0 {
			d.room = make([]decoded, together)
		}
		into := &d.room[0]
		d.room = d.room[1:]
		if into.read(string(payload)) && into.charge.Request.PaymentId == orderID {
			return &into.command, nil
		}
	}
	return Decode(kind, orderID, payload)
}

// read reads a charge, and reports whether it has what every charge has and nothing else.
func (d *decoded) read(payload string) bool {
	if !d.charge.Read(payload) {
		return false
	}
	c := &d.charge.Request
	d.outcome.Charge, d.command.Command = c, &d.outcome
	return c.CustomerId != "" && c.Amount != nil && c.NotAfter != nil && c.PaymentsDatabase == ""
}
