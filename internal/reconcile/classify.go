package reconcile

import (
	"fmt"
	"time"

	"hosho/internal/money"
	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/span"
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
	Paid   bool          // CANCELLING or CANCELLED: it was COMPLETED before, and no refund is recorded
}

// Command is an order's command in the outbox.
type Command struct {
	Parked   bool
	LastCode string // what its last delivery came to
	Attempts int    // deliveries that were ambiguous
	Claims   int    // how often a relay took it up
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
	Database     string // the identity of the payments database
}

// Classify returns what is wrong with a case and why, "" when nothing is. The first class that fits is the one: money
// first, then what stands still.
func Classify(c Case, stuckAfter time.Duration) (class Class, why string) {
	o, p := c.Order, c.Payment
	switch {
	case o == nil && p != nil && !p.sealed():
		return PaymentWithoutOrder, "no order has its key"
	case o == nil && (c.Charge != nil || c.Void != nil):
		return Stuck, "a command without its order"
	case o == nil && p != nil:
		return SealedWithoutOrder, "no order has its key, and it holds nothing"
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
	case o.Status == order.Cancelled && !o.ByHand && o.Paid && p.Status != payment.Refunded:
		return RefundMissing, "it was COMPLETED, and its payment is " + string(p.Status)
	case p != nil && p.Ledger != p.owed():
		return LedgerWrong, "the ledger must say " + money.Text(p.owed(), p.Currency)
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

// sealed reports whether a payment holds no money and never will: its status is final, and its ledger agrees.
func (p *Payment) sealed() bool { return p.Status != payment.Charged && p.Ledger == 0 }

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

// underWay judges an order that is PENDING or CANCELLING. A command that is missing, or in conflict, will not get
// better; for everything else order.Standing says what is stuck. That a payment was decided and its order does not hear
// of it is known here alone, where both sides are seen.
func underWay(c Case, stuckAfter time.Duration) (Class, string) {
	o, p, kind, drives := c.Order, c.Payment, c.Order.Status.Driver(), c.Charge
	if kind == order.Void {
		drives = c.Void
	}
	switch {
	case drives == nil:
		return Stranded, "its " + string(kind) + " is missing"
	case p != nil && p.Money != o.Money:
		return Stuck, "in conflict: the payment under its key is another's"
	}
	why := order.Standing{
		Command: kind, Parked: drives.Parked, LastCode: drives.LastCode, Attempts: drives.Attempts,
		Claims: drives.Claims,
		Status: o.Status, Age: o.Age, Late: o.Late,
	}.Why(stuckAfter)
	waits := why != order.Parked && why != order.InConflict
	switch {
	case waits && o.Status == order.Pending && p != nil && p.Age > stuckAfter:
		return unheard(p)
	case why == order.Undecided && o.Status == order.Cancelling && p != nil && p.Status == payment.Charged:
		return RefundMissing, "CANCELLING for " + span.Text(o.Age) + ", and not refunded"
	case why == order.NeedsNoPerson:
		return "", ""
	}
	return Stuck, words(why, kind, o, drives)
}

// unheard is a payment that was decided long ago, and its order is still PENDING.
func unheard(p *Payment) (Class, string) {
	if p.Status == payment.Charged {
		return PaidNotCompleted, "paid for " + span.Text(p.Age)
	}
	return Stuck, string(p.Status) + " for " + span.Text(p.Age) + ", and still PENDING"
}

// words says why an order is stuck.
func words(why order.Why, kind order.Command, o *Order, drives *Command) string {
	switch why {
	case order.Parked:
		return "its " + string(kind) + " is parked: " + drives.LastCode
	case order.InConflict:
		if drives.LastCode == order.NotRefunded {
			return "it was COMPLETED, and its payment is not refunded: " + drives.LastCode
		}
		return "its " + string(kind) + " is in conflict: " + drives.LastCode
	case order.Overdue:
		return "past its deadline for " + span.Text(o.Late)
	case order.TriedInVain:
		return fmt.Sprintf("its %s was tried %d times: %s", kind, drives.Claims, drives.LastCode)
	}
	return string(o.Status) + " and undecided for " + span.Text(o.Age)
}
