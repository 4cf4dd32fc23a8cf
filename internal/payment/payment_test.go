package payment_test

import (
	"testing"

	"hosho/internal/payment"
)

// The whole machine: what each command makes of what is stored.
func TestApply(t *testing.T) {
	type cell = payment.Decision
	charged, declined := cell{Status: payment.Charged}, cell{Status: payment.Declined}
	voided, refunded := cell{Status: payment.Voided}, cell{Status: payment.Refunded}
	for stored, row := range map[payment.Status]map[payment.Command]cell{
		payment.None: {
			payment.ChargeApproved: {Status: payment.Charged, Entry: payment.ChargeEntry},
			payment.ChargeDeclined: {Status: payment.Declined, Reason: payment.InsufficientFunds},
			payment.ChargeExpired:  {Status: payment.Declined, Reason: payment.Expired},
			payment.Void:           voided,
		},
		payment.Charged: {
			payment.ChargeApproved: charged, payment.ChargeDeclined: charged, payment.ChargeExpired: charged,
			payment.Void: {Status: payment.Refunded, Entry: payment.RefundEntry},
		},
		payment.Declined: {
			payment.ChargeApproved: declined, payment.ChargeDeclined: declined, payment.ChargeExpired: declined,
			payment.Void: declined,
		},
		payment.Voided: {
			payment.ChargeApproved: voided, payment.ChargeDeclined: voided, payment.ChargeExpired: voided,
			payment.Void: voided,
		},
		payment.Refunded: {
			payment.ChargeApproved: refunded, payment.ChargeDeclined: refunded, payment.ChargeExpired: refunded,
			payment.Void: refunded,
		},
	} {
		for _, command := range payment.Commands {
			if got := payment.Apply(stored, command); got != row[command] {
				t.Errorf("%q, %v: got %+v, want %+v", stored, command, got, row[command])
			}
		}
	}
}

func TestAPaymentMatchesItsOwnRequestAlone(t *testing.T) {
	own := payment.Request{ID: "a", CustomerID: "ada", AmountMinor: 600, Currency: "JPY"}
	p := payment.Payment{
		ID: own.ID, CustomerID: own.CustomerID, AmountMinor: own.AmountMinor, Currency: own.Currency,
		Status: payment.Charged,
	}
	if !p.Matches(own) {
		t.Error("the payment does not match its own request")
	}
	for name, change := range map[string]func(*payment.Request){
		"key":      func(r *payment.Request) { r.ID = "b" },
		"customer": func(r *payment.Request) { r.CustomerID = "eve" },
		"amount":   func(r *payment.Request) { r.AmountMinor = 601 },
		"currency": func(r *payment.Request) { r.Currency = "USD" },
	} {
		other := own
		change(&other)
		if p.Matches(other) {
			t.Errorf("the payment matches a request of another %s", name)
		}
	}
}
