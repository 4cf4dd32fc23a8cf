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
	if c, ok := r.byHand(string(message)); ok {
		return c, nil
	}
	var m paymentv1.PaymentCommand
	if err := proto.Unmarshal(message, &m); err != nil {
		return command{}, err
	}
	return fromCommand(&m), nil
}

// byHand reports false where the library is to read it: what is no charge, or has one twice, or a field besides.
func (r *chargeReader) byHand(message string) (c command, ok bool) {
	var traceparent string
	read := false
	fields := protoread.Read(message)
	for field, more := fields.Next(); more; field, more = fields.Next() {
		switch {
		case field == protoread.Of(1, protoread.Bytes) && !read:
			if read = r.charge.Read(fields.Message()); !read {
				return c, false
			}
		case field == protoread.Of(3, protoread.Bytes):
			traceparent = fields.Text()
		default:
			return c, false
		}
	}
	if !read || !fields.Whole() {
		return c, false
	}
	c = fromCharge(&r.charge.Request)
	c.traceparent = traceparent
	return c, true
}
