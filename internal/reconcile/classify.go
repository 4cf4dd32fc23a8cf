package reconcile

import (
	"fmt"
	"slices"
	"time"

	"hosho/internal/order"
	"hosho/internal/payment"
)

// Money is what an order and its payment must agree about.
type Money struct {
	CustomerID string
	Amount     int64 // in the currency's minor unit
	Currency   string
}

// Order is what the orders database says of an order. Its times are by that database's clock.
type Order struct {
	Money
	Status order.Status
	Age    time.Duration // since it came to its status
	Late   time.Duration // since its deadline; negative before
	ByHand bool          // an operator settled it
}

// Command is an order's command in the outbox.
type Command struct {
	Parked   bool
	LastCode string // what its last delivery came to
}

// Payment is what the payments database says of a payment. Its age is by that database's clock.
type Payment struct {
	Money
	Status payment.Status
	Age    time.Duration // since it came to its status
	Ledger int64         // what its ledger entries hold: charges less refunds
}

// Case is all that both databases say about one key. What is not there is nil.
type Case struct {
	Order        *Order
	Charge, Void *Command
	Payment      *Payment
}

// conflictCodes are the last_codes of commands whose key belongs to another payment. The relay gives them.
var conflictCodes = []string{"KEY_REUSED", "ECHO_MISMATCH"}

// Classify answers what is wrong with a case and why, "" when nothing is. The first class that fits is the one: money
// first, then what stands still.
func Classify(c Case, stuckAfter time.Duration) (class Class, why string) {
	o, p := c.Order, c.Payment
	switch {
	case o == nil && p != nil:
		return PaymentWithoutOrder, "no order has its key"
	case o == nil && (c.Charge != nil || c.Void != nil):
		return Stuck, "a command without its order"
	case o == nil:
		return "", ""
	}
	if class, why = contradiction(o, p); class != "" {
		return class, why
	}
	if o.Status.Settled() {
		return settled(c)
	}
	return underWay(c, stuckAfter)
}

// contradiction finds what is wrong with the money at once, whatever is under way.
func contradiction(o *Order, p *Payment) (Class, string) {
	switch {
	case o.Status == order.Completed && p == nil:
		return CompletedNotHeld, "there is no payment"
	case o.Status == order.Completed && p.Status != payment.Charged:
		return CompletedNotHeld, "the payment is " + string(p.Status)
	case o.Status == order.Completed && p.Money != o.Money:
		return CompletedNotHeld, "the payment is another's"
	case o.Status == order.Completed && p.Ledger < o.Amount:
		return CompletedNotHeld, "the ledger lacks the charge"
	case p != nil && p.Status == payment.Refunded && p.Ledger > 0:
		return RefundMissing, "the ledger lacks the refund"
	case o.Status == order.Cancelled && !o.ByHand && p == nil:
		return CancelledButHeld, "there is no payment: a late charge would find its key free"
	case o.Status == order.Cancelled && !o.ByHand && (p.Status == payment.Charged || p.Ledger > 0):
		return CancelledButHeld, "the money is held"
	case p != nil && p.Ledger != p.owed():
		return LedgerWrong, fmt.Sprintf("the ledger must say %d", p.owed())
	}
	return "", ""
}

// owed is what the ledger must hold for a payment.
func (p *Payment) owed() int64 {
	if p.Status == payment.Charged {
		return p.Amount
	}
	return 0
}

func settled(c Case) (Class, string) {
	switch {
	case c.Charge != nil || c.Void != nil:
		return Stuck, "the order is settled, and a command is left"
	case c.Order.ByHand:
		return SettledByOperator, "CANCELLED by hand"
	case c.Payment.Money != c.Order.Money: // a settled order without a payment is a contradiction, found before
		return PaymentWithoutOrder, "the order under its key is another's"
	}
	return "", ""
}

// underWay judges an order that is PENDING or CANCELLING. A command that is missing, parked or in conflict will not get
// better; everything else is given time.
func underWay(c Case, stuckAfter time.Duration) (Class, string) {
	o, p, kind, drives := c.Order, c.Payment, order.Charge, c.Charge
	if o.Status == order.Cancelling {
		kind, drives = order.Void, c.Void
	}
	switch {
	case drives == nil:
		return Stranded, "its " + string(kind) + " is missing"
	case p != nil && p.Money != o.Money:
		return Stuck, "in conflict: the payment under its key is another's"
	case drives.Parked:
		return Stuck, "its " + string(kind) + " is parked: " + drives.LastCode
	case slices.Contains(conflictCodes, drives.LastCode):
		return Stuck, "its " + string(kind) + " is in conflict: " + drives.LastCode
	case o.Status == order.Pending:
		return pending(o, p, stuckAfter)
	case o.Age <= stuckAfter:
		return "", ""
	case p != nil && p.Status == payment.Charged:
		return RefundMissing, "CANCELLING for " + short(o.Age) + ", and not refunded"
	}
	return Stuck, "CANCELLING for " + short(o.Age)
}

func pending(o *Order, p *Payment, stuckAfter time.Duration) (Class, string) {
	switch {
	case p != nil && p.Age > stuckAfter && p.Status == payment.Charged:
		return PaidNotCompleted, "paid for " + short(p.Age)
	case p != nil && p.Age > stuckAfter:
		return Stuck, string(p.Status) + " for " + short(p.Age) + ", and still PENDING"
	case o.Late > stuckAfter:
		return Stuck, "past its deadline for " + short(o.Late)
	}
	return "", ""
}

func short(d time.Duration) string { return d.Round(time.Second).String() }
