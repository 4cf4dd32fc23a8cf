package command

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
)

// Differences says in words in what the payload of an order's command is not what was ordered, "" when it is. It names
// no customer: logs must not. A payload that is no such request at all is an error.
//
// What a newer version has added is not looked at.
func Differences(kind order.Command, o order.Order, payload []byte) (string, error) {
	var d differences
	switch kind {
	case order.Charge:
		request := &paymentv1.ChargePaymentRequest{}
		if err := proto.Unmarshal(payload, request); err != nil {
			return "", fmt.Errorf("decode the %s of order %s: %w", kind, o.ID, err)
		}
		d.compare(o, request)
		d.add(SameTime(asTime(request.GetNotAfter()), &o.DeadlineAt), "not_after")
	case order.Void:
		request := &paymentv1.VoidPaymentRequest{}
		if err := proto.Unmarshal(payload, request); err != nil {
			return "", fmt.Errorf("decode the %s of order %s: %w", kind, o.ID, err)
		}
		d.compare(o, request)
	default:
		return "", fmt.Errorf("compare a command of order %s: got kind %q, want %s or %s",
			o.ID, kind, order.Charge, order.Void)
	}
	return strings.Join(d, ", "), nil
}

// SameTime reports whether two times are one, where each may be missing. The database keeps microseconds.
func SameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Sub(*b).Abs() < time.Millisecond
}

func asTime(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

// differences are the fields that differ.
type differences []string

func (d *differences) add(same bool, field string) {
	if !same {
		*d = append(*d, field)
	}
}

func (d *differences) compare(o order.Order, sent interface {
	GetPaymentId() string
	GetCustomerId() string
	GetAmount() *moneyv1.Money
},
) {
	d.add(sent.GetPaymentId() == o.ID, "payment_id")
	d.add(sent.GetCustomerId() == o.CustomerID, "customer_id")
	d.add(sent.GetAmount().GetAmountMinor() == o.AmountMinor, "amount_minor")
	d.add(sent.GetAmount().GetCurrencyCode() == o.Currency, "currency_code")
}
