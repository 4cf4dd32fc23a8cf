package main

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
)

// The database holds the words of the enums without these.
const (
	statusPrefix = "STATUS_"
	reasonPrefix = "DECLINE_REASON_"
	kindPrefix   = "KIND_"
)

// toPayment leaves a status that the contract does not know UNSPECIFIED, which decides nothing.
func toPayment(p payment.Payment) *paymentv1.Payment {
	return &paymentv1.Payment{
		PaymentId:     p.ID,
		CustomerId:    p.CustomerID,
		Amount:        &moneyv1.Money{CurrencyCode: p.Currency, AmountMinor: p.AmountMinor},
		Status:        toPaymentStatus(p.Status),
		DeclineReason: toReason(p.DeclineReason),
		CreateTime:    timestamppb.New(p.CreatedAt),
		UpdateTime:    timestamppb.New(p.UpdatedAt),
	}
}

func toPaymentStatus(s payment.Status) paymentv1.Payment_Status {
	return paymentv1.Payment_Status(paymentv1.Payment_Status_value[statusPrefix+string(s)])
}

func toReason(r payment.DeclineReason) paymentv1.Payment_DeclineReason {
	return paymentv1.Payment_DeclineReason(paymentv1.Payment_DeclineReason_value[reasonPrefix+string(r)])
}

func toLedger(bookings []payment.Booking) []*paymentv1.LedgerEntry {
	entries := make([]*paymentv1.LedgerEntry, len(bookings))
	for i, b := range bookings {
		entries[i] = &paymentv1.LedgerEntry{
			Kind:       paymentv1.LedgerEntry_Kind(paymentv1.LedgerEntry_Kind_value[kindPrefix+string(b.Entry)]),
			Amount:     &moneyv1.Money{CurrencyCode: b.Currency, AmountMinor: b.AmountMinor},
			CreateTime: timestamppb.New(b.At),
		}
	}
	return entries
}

// kindName is how the log names a kind: as the outbox and the relay do.
func kindName(kind paymentv1.PaymentResult_Kind) string {
	return strings.TrimPrefix(paymentv1.PaymentResult_Kind_name[int32(kind)], kindPrefix)
}
