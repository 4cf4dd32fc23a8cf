// Package command translates between an order and the commands that make the payment service pay for it or undo that.
// orderd and relay, the two processes of the order context, write the same bytes through it.
//
// Its promise: what Decode accepts has everything that Encode puts in, for the right order and kind; a command that was
// damaged is an error, and never sent half-read. Fields of a newer version are sent along as they are, so that the two
// processes need not be upgraded at once.
package command

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
)

// Encode makes the payload of an order's command: the request of ChargePayment or VoidPayment. The order's id is the
// payment's key, and its deadline the charge's not_after. An order that has no deadline yet has none in its charge:
// whoever gives it one adds that to the payload (internal/orderdb), which without it is not sent.
//
// Its fields, whose numbers both requests share, are written by hand: each order is encoded once, and as messages that
// are made, measured and visited they took three times as long.
func Encode(kind order.Command, o order.Order) ([]byte, error) {
	if kind != order.Charge && kind != order.Void {
		return nil, fmt.Errorf("encode a command: got kind %q, want %s or %s", kind, order.Charge, order.Void)
	}
	payload := make([]byte, 0, usualSize)
	payload = protowire.AppendString(protowire.AppendTag(payload, 1, protowire.BytesType), o.ID)
	payload = protowire.AppendString(protowire.AppendTag(payload, 2, protowire.BytesType), o.CustomerID)
	payload = appendAmount(protowire.AppendTag(payload, 3, protowire.BytesType), o)
	if kind == order.Void || o.DeadlineAt.IsZero() {
		return payload, nil
	}
	notAfter, err := proto.Marshal(timestamppb.New(o.DeadlineAt))
	if err != nil {
		return nil, fmt.Errorf("encode the %s of order %s: %w", kind, o.ID, err)
	}
	return protowire.AppendBytes(protowire.AppendTag(payload, 4, protowire.BytesType), notAfter), nil
}

// usualSize is room for a command whose customer has a name of usual length, and for its deadline.
const usualSize = 96

// appendAmount adds what an order costs as a money.v1.Money, with its length before it.
func appendAmount(b []byte, o order.Order) []byte {
	amount := uint64(o.AmountMinor)
	length := protowire.SizeTag(1) + protowire.SizeBytes(len(o.Currency)) + protowire.SizeTag(2) +
		protowire.SizeVarint(amount)
	b = protowire.AppendVarint(b, uint64(length))
	b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), o.Currency)
	return protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), amount)
}

// Decode reads the payload of the command of a kind for an order.
func Decode(kind order.Command, orderID string, payload []byte) (*paymentv1.PaymentCommand, error) {
	var (
		command = &paymentv1.PaymentCommand{}
		key     string
		whole   bool
		err     error
	)
	switch kind {
	case order.Charge:
		request := &paymentv1.ChargePaymentRequest{}
		err = proto.Unmarshal(payload, request)
		command.Command, key = &paymentv1.PaymentCommand_Charge{Charge: request}, request.GetPaymentId()
		// Without its not_after it could be made for ever.
		whole = request.GetCustomerId() != "" && request.GetAmount() != nil && request.GetNotAfter() != nil
	case order.Void:
		request := &paymentv1.VoidPaymentRequest{}
		err = proto.Unmarshal(payload, request)
		command.Command, key = &paymentv1.PaymentCommand_Void{Void: request}, request.GetPaymentId()
		whole = request.GetCustomerId() != "" && request.GetAmount() != nil
	default:
		return nil, fmt.Errorf("decode a command of order %s: got kind %q, want %s or %s",
			orderID, kind, order.Charge, order.Void)
	}
	if err != nil {
		return nil, fmt.Errorf("decode the %s of order %s: %w", kind, orderID, err)
	}
	if key != orderID {
		return nil, fmt.Errorf("decode the %s of order %s: got payment_id %q, want the order's id", kind, orderID, key)
	}
	if !whole {
		return nil, fmt.Errorf("decode the %s of order %s: got %v, want every field", kind, orderID, command)
	}
	return command, nil
}
