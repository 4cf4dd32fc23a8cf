// Package order is the order's state machine: what an order is, which statuses it passes through, and what each event
// does to it and to the commands that it has in the outbox.
//
// Its promise: Apply is the only place where a status is decided, and no path in it leads from an error to CANCELLED.
// It is pure, so that tests can walk all of it. doc/rules.md has the machine as a table and as a diagram.
package order

// Status is an order's place in the saga. The words are those of the database.
type Status string

// The statuses. A status only ever changes to one that stands further down.
const (
	// Pending is how every order is born, together with its CHARGE command. The charge may be on its way, under way or
	// made already. Every other status may follow.
	Pending Status = "PENDING"
	// Completed follows the payment service's word that the payment is CHARGED. It is settled; Cancelling may follow
	// when the customer wants the money back.
	Completed Status = "COMPLETED"
	// Cancelling means that the order was given up and its VOID command is in the outbox. Only Cancelled may follow:
	// compensation is never abandoned.
	Cancelling Status = "CANCELLING"
	// Cancelled follows the payment service's word that no money is held under the key and none ever will be. It is
	// settled and final.
	Cancelled Status = "CANCELLED"
)

// Statuses lists them in the order in which an order can pass through them.
var Statuses = []Status{Pending, Completed, Cancelling, Cancelled}

// Settled reports whether nothing is under way: a settled order has no command in the outbox.
func (s Status) Settled() bool { return s == Completed || s == Cancelled }

// Before reports whether an order that is t may have been s earlier. Observers use it to tell news from old news
// without a clock.
func (s Status) Before(t Status) bool { return s.rank() < t.rank() }

func (s Status) rank() int {
	for i, known := range Statuses {
		if s == known {
			return i
		}
	}
	return -1
}

// CancelReason says why an order was given up. The words are those of the database.
type CancelReason string

// The reasons.
const (
	ReasonPaymentDeclined CancelReason = "PAYMENT_DECLINED" // the payment service declined the charge
	ReasonPaymentFailed   CancelReason = "PAYMENT_FAILED"   // the charge could not be decided, or never can be
	ReasonCustomer        CancelReason = "CUSTOMER"         // the customer cancelled
	ReasonDeadline        CancelReason = "DEADLINE"         // the deadline passed before the charge was decided
	ReasonOperator        CancelReason = "OPERATOR"         // an operator settled it by hand
)

// Command is a kind of message to the payment service. The words are those of the database.
type Command string

// The commands. An order has at most one of each in the outbox.
const (
	Charge Command = "CHARGE"
	Void   Command = "VOID"
)

// Commands lists them in the order in which an order can need them.
var Commands = []Command{Charge, Void}

// Driver returns the command that an order in the status waits for, empty for one that waits for none.
func (s Status) Driver() Command {
	switch s {
	case Pending:
		return Charge
	case Cancelling:
		return Void
	}
	return ""
}
