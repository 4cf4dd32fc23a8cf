package main

import (
	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/page"
	"hosho/internal/payment"
	"hosho/internal/validate"
)

// maxCommands is how many commands one request of ProcessPayments may carry.
const maxCommands = 1000

// Each check answers a *validate.Error that names every field at fault, or nil.

func checkKey(paymentID string) error {
	var f validate.Fields
	f.UUID("payment_id", paymentID)
	return f.Err()
}

// checkCharge holds a charge against today's rules, but for its key.
func checkCharge(r *paymentv1.ChargePaymentRequest) error {
	var f validate.Fields
	f.ID("customer_id", r.GetCustomerId())
	f.Currency("amount.currency_code", r.GetAmount().GetCurrencyCode())
	checkAmount(&f, r.GetAmount())
	if t := r.GetNotAfter(); t != nil && !t.IsValid() {
		f.Add("not_after", "got %d s and %d ns since 1970, want a time in the years 1 to 9999", t.GetSeconds(), t.GetNanos())
	}
	return f.Err()
}

// checkVoid asks for no more than that the tombstone can be stored, as the CHECKs of the table have it: a void must
// always be able to answer, whatever today's rules are.
func checkVoid(r *paymentv1.VoidPaymentRequest) error {
	var f validate.Fields
	f.UUID("payment_id", r.GetPaymentId())
	f.ID("customer_id", r.GetCustomerId())
	f.CurrencyForm("amount.currency_code", r.GetAmount().GetCurrencyCode())
	checkAmount(&f, r.GetAmount())
	return f.Err()
}

func checkAmount(f *validate.Fields, amount *moneyv1.Money) {
	f.Range("amount.amount_minor", amount.GetAmountMinor(), 1, payment.MaxAmount)
}

func checkCommands(r *paymentv1.ProcessPaymentsRequest) error {
	var f validate.Fields
	if n := len(r.GetCommands()); n < 1 || n > maxCommands {
		f.Add("commands", "got %d, want 1 to %d", n, maxCommands)
	}
	return f.Err()
}

// errNoCommand refuses a command without content, such as one of a newer client.
func errNoCommand() error {
	var f validate.Fields
	f.Add("command", "got none, want charge or void")
	return f.Err()
}

func checkList(r *paymentv1.ListPaymentsRequest) error {
	var f validate.Fields
	page.CheckSize(&f, r.GetPageSize())
	if r.GetCustomerId() != "" {
		f.ID("customer_id", r.GetCustomerId())
	}
	if _, known := paymentv1.Payment_Status_name[int32(r.GetStatus())]; !known {
		f.Add("status", "got %d, want a status of Payment.Status", r.GetStatus())
	}
	return f.Err()
}
