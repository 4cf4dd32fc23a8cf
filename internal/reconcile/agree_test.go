package reconcile_test

import (
	"slices"
	"testing"

	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/reconcile"
	"hosho/internal/rules"
)

// Every state that one key can be in, damaged or not: Classify finds a failure exactly where a rule of
// internal/lab/invariant is broken, as long as nothing is old, parked or in conflict.
func TestClassifyAgreesWithTheInvariants(t *testing.T) {
	t.Parallel()
	cases := 0
	for c := range everyCase {
		cases++
		class, _ := reconcile.Classify(c, stuckAfter)
		if broken := brokenRules(c); (class != "" && class.Fails()) != (len(broken) > 0) {
			t.Errorf("%s: got %q, and broken are %q", c, class, broken)
		}
	}
	if cases != 9*33*4 {
		t.Errorf("got %d cases, want all of them", cases)
	}
}

func everyCase(yield func(reconcile.Case) bool) {
	orders := []*reconcile.Order{nil}
	for _, s := range order.Statuses {
		orders = append(orders, anOrder(s))
	}
	for _, past := range []func(*reconcile.Order){
		func(o *reconcile.Order) { o.ByHand = true },
		func(o *reconcile.Order) { o.Paid = true },
		func(o *reconcile.Order) { o.Paid, o.ByHand = true, true },
	} {
		orders = append(orders, with(anOrder(order.Cancelled), past))
	}
	orders = append(orders, with(anOrder(order.Cancelling), func(o *reconcile.Order) { o.Paid = true }))
	payments := []*reconcile.Payment{nil}
	for _, s := range payment.Statuses[1:] {
		for _, ledger := range []int64{-600, 0, 600, 1200} {
			for _, customer := range []string{"ada", "eve"} {
				payments = append(payments,
					with(aPayment(s), func(p *reconcile.Payment) { p.Ledger, p.CustomerID = ledger, customer }))
			}
		}
	}
	commands := []*reconcile.Command{nil, {}}
	for _, o := range orders {
		for _, p := range payments {
			for _, charge := range commands {
				for _, void := range commands {
					if !yield(reconcile.Case{Order: o, Payment: p, Charge: charge, Void: void}) {
						return
					}
				}
			}
		}
	}
}

// brokenRules are the rules of internal/lab/invariant, for one key.
func brokenRules(c reconcile.Case) (broken []rules.ID) {
	o, p := c.Order, c.Payment
	rule := func(name rules.ID, isBroken bool) {
		if isBroken {
			broken = append(broken, name)
		}
	}
	sealed := p != nil && slices.Contains([]payment.Status{payment.Declined, payment.Voided, payment.Refunded},
		p.Status)
	status := order.Status("")
	if o != nil {
		status = o.Status
	}
	byHand := o != nil && o.ByHand
	rule(rules.I2, status == order.Completed && (p == nil || p.Status != payment.Charged || p.Money != o.Money))
	rule(rules.I3, status == order.Cancelled && !byHand && !sealed)
	listed := o == nil && sealed && p.Ledger == 0 // what a restore of the orders database leaves
	rule(rules.I4, p != nil && !listed && (o == nil || !byHand && p.Money != o.Money))
	rule(rules.I5, status == order.Pending && c.Charge == nil || status == order.Cancelling && c.Void == nil)
	rule(rules.I5, (o == nil || status.Settled()) && (c.Charge != nil || c.Void != nil))
	owed := int64(0)
	if p != nil && p.Status == payment.Charged {
		owed = p.Amount
	}
	rule(rules.I7, p != nil && p.Ledger != owed)
	rule(rules.I25, status == order.Cancelled && !byHand && o.Paid && (p == nil || p.Status != payment.Refunded))
	rule(rules.I16, status.Settled() && !byHand && p == nil)
	return broken
}
