package reconcile_test

import (
	"testing"
	"time"

	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/reconcile"
)

const stuckAfter = order.StuckAfter

var tea = reconcile.Money{CustomerID: "ada", Amount: 600, Currency: "JPY"}

func anOrder(s order.Status) *reconcile.Order {
	return &reconcile.Order{Money: tea, Status: s, Age: time.Second, Late: -time.Minute}
}

// aPayment comes with the ledger that it must have.
func aPayment(s payment.Status) *reconcile.Payment {
	p := &reconcile.Payment{Money: tea, Status: s, Age: time.Second}
	if s == payment.Charged {
		p.Ledger = p.Amount
	}
	return p
}

// under is a case of an order under way with its command, and its payment.
func under(o *reconcile.Order, p *reconcile.Payment) reconcile.Case {
	c := reconcile.Case{Order: o, Payment: p}
	if o.Status == order.Pending {
		c.Charge = &reconcile.Command{}
	} else {
		c.Void = &reconcile.Command{}
	}
	return c
}

func with[T any](v *T, change func(*T)) *T {
	change(v)
	return v
}

func TestClassify(t *testing.T) {
	t.Parallel()
	type (
		o = reconcile.Order
		p = reconcile.Payment
	)
	other := func(got *p) { got.CustomerID = "eve" }
	old := func(got *p) { got.Age = stuckAfter + 1 }
	tests := []struct {
		name string
		give reconcile.Case
		want reconcile.Class
	}{
		{"nothing", reconcile.Case{}, ""},
		{"PENDING", under(anOrder(order.Pending), nil), ""},
		{"PENDING, just paid", under(anOrder(order.Pending), aPayment(payment.Charged)), ""},
		{
			"PENDING, paid for as long as it may be",
			under(anOrder(order.Pending), with(aPayment(payment.Charged), func(got *p) { got.Age = stuckAfter })), "",
		},
		{
			"PENDING, paid for too long", under(anOrder(order.Pending), with(aPayment(payment.Charged), old)),
			reconcile.PaidNotCompleted,
		},
		{
			"PENDING, declined for too long", under(anOrder(order.Pending), with(aPayment(payment.Declined), old)),
			reconcile.Stuck,
		},
		{"PENDING, just late", under(with(anOrder(order.Pending), func(got *o) { got.Late = stuckAfter }), nil), ""},
		{
			"PENDING, too late", under(with(anOrder(order.Pending), func(got *o) { got.Late = stuckAfter + 1 }), nil),
			reconcile.Stuck,
		},
		{
			"PENDING for long, its deadline far",
			under(with(anOrder(order.Pending), func(got *o) { got.Age = 24 * time.Hour }), nil), "",
		},
		{"PENDING for long after an ambiguous reply, its deadline far", reconcile.Case{
			Order:  with(anOrder(order.Pending), func(got *o) { got.Age = 24 * time.Hour }),
			Charge: &reconcile.Command{Attempts: 1},
		}, reconcile.Stuck},
		{
			"PENDING, tried too often",
			reconcile.Case{Order: anOrder(order.Pending), Charge: &reconcile.Command{Claims: order.TooManyClaims}},
			reconcile.Stuck,
		},
		{"PENDING, parked, paid for too long", reconcile.Case{
			Order: anOrder(order.Pending), Charge: &reconcile.Command{Parked: true},
			Payment: with(aPayment(payment.Charged), old),
		}, reconcile.Stuck},
		{"PENDING without its CHARGE", reconcile.Case{Order: anOrder(order.Pending)}, reconcile.Stranded},
		{
			"PENDING and paid, without its CHARGE",
			reconcile.Case{Order: anOrder(order.Pending), Payment: with(aPayment(payment.Charged), old)},
			reconcile.Stranded,
		},
		{
			"PENDING with a VOID alone",
			reconcile.Case{Order: anOrder(order.Pending), Void: &reconcile.Command{}},
			reconcile.Stranded,
		},
		{
			"PENDING, parked",
			reconcile.Case{Order: anOrder(order.Pending), Charge: &reconcile.Command{Parked: true}},
			reconcile.Stuck,
		},
		{
			"PENDING, its key another's", under(anOrder(order.Pending), with(aPayment(payment.Charged), other)),
			reconcile.Stuck,
		},
		{"CANCELLING", under(anOrder(order.Cancelling), nil), ""},
		{"CANCELLING, just paid", under(anOrder(order.Cancelling), aPayment(payment.Charged)), ""},
		{
			"CANCELLING for too long",
			under(with(anOrder(order.Cancelling), func(got *o) { got.Age = stuckAfter + 1 }), nil), reconcile.Stuck,
		},
		{"CANCELLING for too long, and refunded", under(with(anOrder(order.Cancelling),
			func(got *o) { got.Age = stuckAfter + 1 }), aPayment(payment.Refunded)), reconcile.Stuck},
		{"CANCELLING for too long, and paid", under(with(anOrder(order.Cancelling),
			func(got *o) { got.Age = stuckAfter + 1 }), aPayment(payment.Charged)), reconcile.RefundMissing},
		{
			"CANCELLING without its VOID",
			reconcile.Case{Order: anOrder(order.Cancelling), Charge: &reconcile.Command{}},
			reconcile.Stranded,
		},
		{
			"CANCELLING, in conflict",
			reconcile.Case{Order: anOrder(order.Cancelling), Void: &reconcile.Command{LastCode: "KEY_REUSED"}},
			reconcile.Stuck,
		},
		{
			"CANCELLING, a reply of another payment",
			reconcile.Case{Order: anOrder(order.Cancelling), Void: &reconcile.Command{LastCode: "ECHO_MISMATCH"}},
			reconcile.Stuck,
		},
		{
			"CANCELLING, retried",
			reconcile.Case{Order: anOrder(order.Cancelling), Void: &reconcile.Command{LastCode: "UNAVAILABLE"}},
			"",
		},
		{"CANCELLING, its CHARGE parked", reconcile.Case{
			Order: anOrder(order.Cancelling), Charge: &reconcile.Command{Parked: true}, Void: &reconcile.Command{},
		}, ""},
		{"COMPLETED", reconcile.Case{Order: anOrder(order.Completed), Payment: aPayment(payment.Charged)}, ""},
		{"COMPLETED without a payment", reconcile.Case{Order: anOrder(order.Completed)}, reconcile.CompletedNotHeld},
		{
			"COMPLETED and refunded",
			reconcile.Case{Order: anOrder(order.Completed), Payment: aPayment(payment.Refunded)},
			reconcile.CompletedNotHeld,
		},
		{
			"COMPLETED for another customer",
			reconcile.Case{Order: anOrder(order.Completed), Payment: with(aPayment(payment.Charged), other)},
			reconcile.CompletedNotHeld,
		},
		{"COMPLETED, the ledger empty", reconcile.Case{
			Order: anOrder(order.Completed), Payment: with(aPayment(payment.Charged), func(got *p) { got.Ledger = 0 }),
		}, reconcile.CompletedNotHeld},
		{"COMPLETED, charged twice", reconcile.Case{
			Order:   anOrder(order.Completed),
			Payment: with(aPayment(payment.Charged), func(got *p) { got.Ledger = 1200 }),
		}, reconcile.LedgerWrong},
		{"COMPLETED with a command", reconcile.Case{
			Order: anOrder(order.Completed), Payment: aPayment(payment.Charged), Charge: &reconcile.Command{},
		}, reconcile.Stuck},
		{"CANCELLED", reconcile.Case{Order: anOrder(order.Cancelled), Payment: aPayment(payment.Voided)}, ""},
		{"CANCELLED without a payment", reconcile.Case{Order: anOrder(order.Cancelled)}, reconcile.CancelledButHeld},
		{
			"CANCELLED and paid",
			reconcile.Case{Order: anOrder(order.Cancelled), Payment: aPayment(payment.Charged)},
			reconcile.CancelledButHeld,
		},
		{"CANCELLED, voided, and in the ledger", reconcile.Case{
			Order: anOrder(order.Cancelled), Payment: with(aPayment(payment.Voided), func(got *p) { got.Ledger = 600 }),
		}, reconcile.CancelledButHeld},
		{"CANCELLED, the ledger without a refund", reconcile.Case{
			Order:   anOrder(order.Cancelled),
			Payment: with(aPayment(payment.Refunded), func(got *p) { got.Ledger = 600 }),
		}, reconcile.RefundMissing},
		{"CANCELLED after COMPLETED, and voided", reconcile.Case{
			Order:   with(anOrder(order.Cancelled), func(got *o) { got.Paid = true }),
			Payment: aPayment(payment.Voided),
		}, reconcile.RefundMissing},
		{"CANCELLED after COMPLETED, and refunded", reconcile.Case{
			Order:   with(anOrder(order.Cancelled), func(got *o) { got.Paid = true }),
			Payment: aPayment(payment.Refunded),
		}, ""},
		{"CANCELLING after COMPLETED, its payment forgotten", reconcile.Case{
			Order:   with(anOrder(order.Cancelling), func(got *o) { got.Paid = true }),
			Payment: aPayment(payment.Voided), Void: &reconcile.Command{LastCode: order.NotRefunded},
		}, reconcile.Stuck},
		{"PENDING, expired early", reconcile.Case{
			Order: anOrder(order.Pending), Payment: aPayment(payment.Declined),
			Charge: &reconcile.Command{Parked: true, LastCode: order.ExpiredEarly},
		}, reconcile.Stuck},
		{"CANCELLED, refunded and never charged", reconcile.Case{
			Order:   anOrder(order.Cancelled),
			Payment: with(aPayment(payment.Declined), func(got *p) { got.Ledger = -600 }),
		}, reconcile.LedgerWrong},
		{
			"CANCELLED, its key another's",
			reconcile.Case{Order: anOrder(order.Cancelled), Payment: with(aPayment(payment.Voided), other)},
			reconcile.PaymentWithoutOrder,
		},
		{"CANCELLED with a command", reconcile.Case{
			Order: anOrder(order.Cancelled), Payment: aPayment(payment.Voided), Void: &reconcile.Command{},
		}, reconcile.Stuck},
		{"CANCELLED by hand", reconcile.Case{
			Order:   with(anOrder(order.Cancelled), func(got *o) { got.ByHand = true }),
			Payment: with(aPayment(payment.Charged), other),
		}, reconcile.SettledByOperator},
		{
			"CANCELLED by hand without a payment",
			reconcile.Case{Order: with(anOrder(order.Cancelled), func(got *o) { got.ByHand = true })},
			reconcile.SettledByOperator,
		},
		{"a payment alone", reconcile.Case{Payment: aPayment(payment.Charged)}, reconcile.PaymentWithoutOrder},
		{"a voided payment alone", reconcile.Case{Payment: aPayment(payment.Voided)}, reconcile.SealedWithoutOrder},
		{"a declined payment alone", reconcile.Case{Payment: aPayment(payment.Declined)}, reconcile.SealedWithoutOrder},
		{"a refunded payment alone", reconcile.Case{Payment: aPayment(payment.Refunded)}, reconcile.SealedWithoutOrder},
		{"a refunded payment alone, the ledger without a refund", reconcile.Case{
			Payment: with(aPayment(payment.Refunded), func(got *p) { got.Ledger = 600 }),
		}, reconcile.PaymentWithoutOrder},
		{"a voided payment alone, refunded and never charged", reconcile.Case{
			Payment: with(aPayment(payment.Voided), func(got *p) { got.Ledger = -600 }),
		}, reconcile.PaymentWithoutOrder},
		{"a charged payment and its command", reconcile.Case{
			Payment: aPayment(payment.Charged), Charge: &reconcile.Command{},
		}, reconcile.PaymentWithoutOrder},
		{"a voided payment and a command that goes on", reconcile.Case{
			Payment: aPayment(payment.Voided), Charge: &reconcile.Command{},
		}, reconcile.Stuck},
		{"a command alone", reconcile.Case{Void: &reconcile.Command{}}, reconcile.Stuck},
	}
	seen := map[reconcile.Class]bool{}
	for _, tt := range tests {
		got, why := reconcile.Classify(tt.give, stuckAfter)
		if got != tt.want || (why == "") != (got == "") {
			t.Errorf("%s: got %q because %q, want %q", tt.name, got, why, tt.want)
		}
		seen[got] = true
	}
	for _, class := range reconcile.Classes {
		if !seen[class.Class] {
			t.Errorf("no case is %s", class.Class)
		}
	}
}

// Findings are read by people, their calls by programs.
func TestFindingsTellMoneyForPeople(t *testing.T) {
	t.Parallel()
	dollars := reconcile.Money{CustomerID: "ada", Amount: 1999, Currency: "USD"}
	c := reconcile.Case{
		Order:   &reconcile.Order{Money: dollars, Status: order.Completed},
		Payment: &reconcile.Payment{Money: dollars, Status: payment.Charged, Ledger: 2000},
	}
	want := "order COMPLETED 19.99 USD; payment CHARGED 19.99 USD, ledger 20.00 USD"
	if got := c.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, why := reconcile.Classify(c, time.Minute); why != "the ledger must say 19.99 USD" {
		t.Errorf("got %q, want the ledger must say 19.99 USD", why)
	}
}
