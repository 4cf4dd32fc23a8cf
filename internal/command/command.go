// Package command translates between an order and the commands that make the payment service pay for it or undo that.
// orderd and relay, the two processes of the order context, write the same bytes through it.
//
// Its promise: what Decode accepts has everything that Encode puts in, for the right order and kind; a command that was
// damaged is an error, and never sent half-read. Fields of a newer version are sent along as they are, so that the two
// processes need not be upgraded at once.
package command

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
)

// Encode makes the payload of an order's command: the request of ChargePayment or VoidPayment. The order's id is the
// payment's key, and its deadline the charge's not_after. An order that has no deadline yet has none in its charge:
// whoever gives it one adds that to the payload (internal/orderdb), which without it is not sent.
func Encode(kind order.Command, o order.Order) ([]byte, error) {
	amount := &moneyv1.Money{CurrencyCode: o.Currency, AmountMinor: o.AmountMinor}
	var request proto.Message
	switch kind {
	case order.Charge:
		charge := &paymentv1.ChargePaymentRequest{PaymentId: o.ID, CustomerId: o.CustomerID, Amount: amount}
		if !o.DeadlineAt.IsZero() {
			charge.NotAfter = timestamppb.New(o.DeadlineAt)
		}
		request = charge
	case order.Void:
		request = &paymentv1.VoidPaymentRequest{PaymentId: o.ID, CustomerId: o.CustomerID, Amount: amount}
	default:
		return nil, fmt.Errorf("encode a command: got kind %q, want %s or %s", kind, order.Charge, order.Void)
	}
	payload, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode the %s of order %s: %w", kind, o.ID, err)
	}
	return payload, nil
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
