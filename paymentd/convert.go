package main

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
)

const (
	kindCharge = paymentv1.PaymentResult_KIND_CHARGE
	kindVoid   = paymentv1.PaymentResult_KIND_VOID
)

// command is a charge or a void, with what is wrong with it.
type command struct {
	kind    paymentv1.PaymentResult_Kind
	sentID  string          // the key as it was sent
	asked   payment.Charge  // with the key in lower case; empty when it is no key
	verdict payment.Verdict // of the card network, when it is a charge that the network has answered
	refused error           // the answer, whatever is stored
	doubt   error           // the answer, unless something is stored under the key
}

func fromCommand(m *paymentv1.PaymentCommand) command {
	switch m := m.GetCommand().(type) {
	case *paymentv1.PaymentCommand_Charge:
		return fromCharge(m.Charge)
	case *paymentv1.PaymentCommand_Void:
		return fromVoid(m.Void)
	}
	return command{refused: errNoCommand()}
}

func fromCharge(r *paymentv1.ChargePaymentRequest) command {
	c := command{kind: kindCharge, sentID: r.GetPaymentId(), refused: checkKey(r.GetPaymentId())}
	if c.refused != nil {
		return c
	}
	c.asked.Request = fromRequest(r)
	c.asked.NotAfter = fromNotAfter(r.GetNotAfter())
	c.doubt = checkCharge(r)
	return c
}

func fromVoid(r *paymentv1.VoidPaymentRequest) command {
	c := command{kind: kindVoid, sentID: r.GetPaymentId(), refused: checkVoid(r)}
	if checkKey(r.GetPaymentId()) == nil {
		c.asked.Request = fromRequest(r)
	}
	return c
}

func fromRequest(r interface {
	GetPaymentId() string
	GetCustomerId() string
	GetAmount() *moneyv1.Money
},
) payment.Request {
	return payment.Request{
		ID: strings.ToLower(r.GetPaymentId()), CustomerID: r.GetCustomerId(),
		AmountMinor: r.GetAmount().GetAmountMinor(), Currency: r.GetAmount().GetCurrencyCode(),
	}
}

// fromNotAfter answers the zero time only where none was sent. The first second of the year 1, which is Go's zero time,
// has passed like any other before 1970.
func fromNotAfter(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return time.Unix(max(t.GetSeconds(), 0), int64(t.GetNanos()))
}

func fromFilter(r *paymentv1.ListPaymentsRequest) paymentdb.Filter {
	f := paymentdb.Filter{CustomerID: r.GetCustomerId()}
	if r.GetStatus() != paymentv1.Payment_STATUS_UNSPECIFIED {
		f.Status = payment.Status(strings.TrimPrefix(r.GetStatus().String(), statusPrefix))
	}
	return f
}

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
		Status:        paymentv1.Payment_Status(paymentv1.Payment_Status_value[statusPrefix+string(p.Status)]),
		DeclineReason: paymentv1.Payment_DeclineReason(paymentv1.Payment_DeclineReason_value[reasonPrefix+string(p.DeclineReason)]),
		CreateTime:    timestamppb.New(p.CreatedAt),
		UpdateTime:    timestamppb.New(p.UpdatedAt),
	}
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

func toResult(a answer) *paymentv1.PaymentResult {
	result := &paymentv1.PaymentResult{PaymentId: a.sentID, Kind: a.kind}
	if a.err != nil {
		result.Outcome = &paymentv1.PaymentResult_Error{Error: toPaymentError(a.err)}
	} else {
		result.Outcome = &paymentv1.PaymentResult_Payment{Payment: toPayment(a.payment)}
	}
	return result
}

// kindName is how the log names a kind: as the outbox and the relay do.
func kindName(kind paymentv1.PaymentResult_Kind) string {
	return strings.TrimPrefix(kind.String(), kindPrefix)
}
