package main

import (
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
	"hosho/internal/protowrite"
)

// Results are encoded by hand, with the numbers of the contract: as messages of their own, each with a payment, an
// amount and two times that are made, measured and visited, they were an eighth of what a charge costs this process. A
// test holds them against the messages.

// appendResult adds a result to a ProcessPaymentsResponse: what became of a command, or the error that it is answered.
func appendResult(response []byte, a *answer, refusal *paymentv1.PaymentError) ([]byte, error) {
	b, begin := protowrite.Begin(response, 1)
	b = protowrite.Number(protowrite.Text(b, 1, a.sentID), 2, int64(a.kind))
	if refusal == nil {
		b, outcome := protowrite.Begin(b, 3)
		return protowrite.End(protowrite.End(appendPayment(b, &a.payment), outcome), begin), nil
	}
	text, err := proto.Marshal(refusal)
	return protowrite.End(protowrite.Text(b, 4, text), begin), err
}

// appendPayment adds the fields of a Payment, as toPayment has them.
func appendPayment(b []byte, p *payment.Payment) []byte {
	b = protowrite.Text(protowrite.Text(b, 1, p.ID), 2, p.CustomerID)
	b, amount := protowrite.Begin(b, 3)
	b = protowrite.End(protowrite.Number(protowrite.Text(b, 1, p.Currency), 2, p.AmountMinor), amount)
	b = protowrite.Number(b, 4, int64(toPaymentStatus(p.Status)))
	b = protowrite.Number(b, 5, int64(toReason(p.DeclineReason)))
	return protowrite.Time(protowrite.Time(b, 6, p.CreatedAt), 7, p.UpdatedAt)
}
