package main

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/protoread"
)

// Charges are read by hand, with the numbers of the contract: as messages of their own, in a request of which each text
// is copied, they were an eighth of what a charge costs this process. A test holds them against the messages.

// fromBytes reads the commands of a request.
func fromBytes(message []byte) ([]command, error) {
	n, err := countCommands(message)
	if err != nil {
		return nil, err
	}
	commands, reader := make([]command, 0, n), chargeReader{}
	for left := message; len(left) > 0; {
		number, kind, tag := protowire.ConsumeTag(left)
		value := left[tag:]
		left = value[protowire.ConsumeFieldValue(number, kind, value):]
		if number == commandsField && kind == protowire.BytesType {
			text, _ := protowire.ConsumeBytes(value)
			c, err := reader.command(text)
			if err != nil {
				return nil, errUnreadable(err)
			}
			commands = append(commands, c)
		}
	}
	return commands, nil
}

// chargeReader is what a charge is read into, one after the other.
type chargeReader struct{ charge protoread.Charge }

// command reads a PaymentCommand, by hand or else as the library does. Its texts are its own: one that waits for the
// card network keeps no other of its request.
func (r *chargeReader) command(message []byte) (command, error) {
	fields := protoread.Read(string(message))
	if field, _ := fields.Next(); field == protoread.Of(1, protoread.Bytes) {
		if text := fields.Message(); fields.Whole() && r.charge.Read(text) {
			return fromCharge(&r.charge.Request), nil
		}
	}
	var m paymentv1.PaymentCommand
	if err := proto.Unmarshal(message, &m); err != nil {
		return command{}, err
	}
	return fromCommand(&m), nil
}
