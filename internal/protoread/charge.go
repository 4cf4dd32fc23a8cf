package protoread

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
)

// Charge is room for a ChargePaymentRequest with all that is in it.
type Charge struct {
	Request paymentv1.ChargePaymentRequest

	amount   moneyv1.Money
	notAfter timestamppb.Timestamp
}

// Read reads a charge over what was there before, and reports false where the library is to read it.
func (c *Charge) Read(message string) bool {
	into, r := &c.Request, Read(message)
	into.PaymentId, into.CustomerId, into.PaymentsDatabase, into.Amount, into.NotAfter = "", "", "", nil, nil
	c.amount.CurrencyCode, c.amount.AmountMinor, c.notAfter.Seconds, c.notAfter.Nanos = "", 0, 0, 0
	for field, more := r.Next(); more; field, more = r.Next() {
		whole := true
		switch field {
		case Of(1, Bytes):
			into.PaymentId = r.Text()
		case Of(2, Bytes):
			into.CustomerId = r.Text()
		case Of(3, Bytes):
			whole = into.Amount == nil && Money(&c.amount, r.Message())
			into.Amount = &c.amount
		case Of(4, Bytes):
			whole = into.NotAfter == nil && Timestamp(&c.notAfter, r.Message())
			into.NotAfter = &c.notAfter
		case Of(5, Bytes):
			into.PaymentsDatabase = r.Text()
		default:
			return false
		}
		if !whole {
			return false
		}
	}
	return r.Whole()
}
