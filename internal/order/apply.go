package order

import "fmt"

// Event is something that happened to an order, or to one of its commands.
type Event uint8

// The events. Those that tell what the payment service has stored under the order's key are facts: they stay true
// however late they arrive, and they alone settle an order. All others are hints.
const (
	CustomerCancels Event = iota + 1

	// What the payment service has stored.
	PaymentCharged
	PaymentDeclined // DECLINED, for want of money
	PaymentExpired  // DECLINED, because the charge came after its deadline
	// DECLINED, because the payment service takes the deadline for passed, and by the order's own clock it is not.
	PaymentExpiredEarly
	PaymentVoided
	PaymentRefunded

	// What became of the CHARGE command, short of an answer.
	ChargeUndecided // ambiguous, or not this order's fault: try again
	ChargeSpent     // ambiguous once more than allowed
	ChargeRefused   // it can never succeed, but an earlier try may have
	ChargeLate      // found in the outbox at or past the deadline
	ChargeConflict  // the key belongs to another payment

	// What became of the VOID command, short of an answer.
	VoidUndecided
	VoidConflict   // the key belongs to another payment
	VoidUnreadable // its payload is damaged

	OperatorSettles
)

// Events lists them all.
var Events = []Event{
	CustomerCancels,
	PaymentCharged, PaymentDeclined, PaymentExpired, PaymentExpiredEarly, PaymentVoided, PaymentRefunded,
	ChargeUndecided, ChargeSpent, ChargeRefused, ChargeLate, ChargeConflict,
	VoidUndecided, VoidConflict, VoidUnreadable,
	OperatorSettles,
}

var eventNames = map[Event]string{
	CustomerCancels: "customer cancels",
	PaymentCharged:  "payment charged", PaymentDeclined: "payment declined", PaymentExpired: "payment expired",
	PaymentExpiredEarly: "payment expired early", PaymentVoided: "payment voided", PaymentRefunded: "payment refunded",
	ChargeUndecided: "charge undecided", ChargeSpent: "attempts spent", ChargeRefused: "charge refused",
	ChargeLate: "deadline passed", ChargeConflict: "charge conflict",
	VoidUndecided: "void undecided", VoidConflict: "void conflict", VoidUnreadable: "void unreadable",
	OperatorSettles: "operator settles",
}

func (e Event) String() string { return eventNames[e] }

// Fact reports whether the event tells what the payment service has stored, and is no hint.
func (e Event) Fact() bool { return e >= PaymentCharged && e <= PaymentRefunded }

// Fate is what becomes of an order's commands in the outbox.
type Fate uint8

// The fates. "The command" is the one that the event is about.
const (
	Keep        Fate = iota // the outbox stays as it is
	Drop                    // the command leaves the outbox
	DropAll                 // every command of the order leaves: the order is settled
	Retry                   // the command is delivered again later
	RetrySlowly             // the same, after the longest wait that there is: what is wrong does not mend itself
	Rebuild                 // the command is delivered again later, with a payload made anew from the order
	Park                    // the command waits for a person
)

// Transition is what an event does to an order.
type Transition struct {
	To     State        // the state afterwards; the old one when nothing changes
	Reason CancelReason // why, when the order is given up by this event; empty otherwise
	Fate   Fate         // what becomes of the order's commands
	Void   bool         // a VOID command is put into the outbox
	Alarm  bool         // a person should look: an assumption broke, or a key is in conflict
}

// Changes reports whether the transition leads an order away from s.
func (t Transition) Changes(s State) bool { return t.To != s }

// IllegalError says that an event must not happen to an order in that status.
type IllegalError struct {
	Status Status
	Event  Event
}

func (e *IllegalError) Error() string {
	return fmt.Sprintf("%s is not possible for an order that is %s", e.Event, e.Status)
}

// Apply decides what an event does to an order in a state. It returns an *IllegalError, and changes nothing, for the
// one event that may be refused: an operator settling a COMPLETED order.
func Apply(s State, e Event) (Transition, error) {
	switch e {
	case CustomerCancels:
		return customerCancels(s), nil
	case PaymentCharged:
		return charged(s), nil
	case PaymentDeclined:
		return noMoneyHeld(s, ReasonPaymentDeclined), nil
	case PaymentExpired:
		return noMoneyHeld(s, ReasonDeadline), nil
	case PaymentExpiredEarly:
		return expiredEarly(s), nil
	case PaymentVoided:
		return noMoneyHeld(s, ReasonPaymentFailed), nil
	case PaymentRefunded:
		return refunded(s), nil
	case ChargeUndecided:
		return whilePending(s, Transition{To: s, Fate: Retry}), nil
	case ChargeSpent, ChargeRefused:
		return whilePending(s, giveUp(ReasonPaymentFailed)), nil
	case ChargeLate:
		return whilePending(s, giveUp(ReasonDeadline)), nil
	case ChargeConflict:
		return whilePending(s, Transition{To: s, Fate: Park, Alarm: true}), nil
	case VoidUndecided:
		return voidUnanswered(s, Transition{Fate: Retry}), nil
	case VoidConflict:
		return voidUnanswered(s, Transition{Fate: RetrySlowly, Alarm: true}), nil
	case VoidUnreadable:
		return voidUnanswered(s, Transition{Fate: Rebuild, Alarm: true}), nil
	case OperatorSettles:
		return operatorSettles(s)
	}
	panic(fmt.Sprintf("order: unknown event %d", e)) // events are made in this program only
}

// giveUp is the compensating step: never straight to CANCELLED, since the charge may have been made.
func giveUp(reason CancelReason) Transition {
	return Transition{To: State{Status: Cancelling}, Reason: reason, Fate: Drop, Void: true}
}

func customerCancels(s State) Transition {
	if s.Status == Pending || s.Status == Completed {
		// A CHARGE that is still in the outbox stays there: the process that cancels may only add to the outbox, and
		// the claim passes over it because of the younger VOID.
		to := State{Status: Cancelling, AfterCompleted: s.Status == Completed}
		return Transition{To: to, Reason: ReasonCustomer, Fate: Keep, Void: true}
	}
	return Transition{To: s, Fate: Keep}
}

func charged(s State) Transition {
	if s.Status == Pending {
		return Transition{To: State{Status: Completed}, Fate: DropAll}
	}
	// CANCELLING: the VOID decides. CANCELLED: old news from before the refund, unless no VOID asked for one.
	return Transition{To: s, Fate: Drop, Alarm: s.ByHand}
}

// noMoneyHeld is the only way to CANCELLED but for the operator's: the payment service has said so.
func noMoneyHeld(s State, reason CancelReason) Transition {
	switch {
	case s.Status == Pending:
		return Transition{To: State{Status: Cancelled}, Reason: reason, Fate: DropAll}
	case s.AfterCompleted:
		return notRefunded(s)
	case s.Status == Cancelling:
		return Transition{To: State{Status: Cancelled}, Fate: DropAll} // the reason stands since it began
	case s.Status == Completed:
		return Transition{To: s, Fate: Drop, Alarm: true} // paid, and yet no money: somebody else voided it
	default:
		return Transition{To: s, Fate: Drop}
	}
}

// refunded is the one word that cancels every order which is CANCELLING, also one that was COMPLETED.
func refunded(s State) Transition {
	if s.AfterCompleted {
		return Transition{To: State{Status: Cancelled}, Fate: DropAll}
	}
	return noMoneyHeld(s, ReasonPaymentFailed)
}

// notRefunded keeps an order that was paid. That its payment holds no money, and was not refunded, means that it was
// forgotten, or that another payment service answers. The right one would answer REFUNDED by itself, so it is asked on.
func notRefunded(s State) Transition { return Transition{To: s, Fate: RetrySlowly, Alarm: true} }

// expiredEarly is a decline by a clock that runs ahead of the order's. It is stored, so that nobody charges any more;
// and yet an order is given up for its deadline not before it.
func expiredEarly(s State) Transition {
	if s.Status == Pending {
		return Transition{To: s, Fate: Park, Alarm: true}
	}
	return noMoneyHeld(s, ReasonDeadline)
}

// whilePending applies what became of a CHARGE to an order that still waits for it; any other order has no more use
// for the command. If a person cancelled it, nobody knows whether an earlier try was charged, and nobody asks.
func whilePending(s State, t Transition) Transition {
	if s.Status != Pending {
		return Transition{To: s, Fate: Drop, Alarm: s.ByHand}
	}
	return t
}

// voidUnanswered keeps a VOID going, for ever. PENDING and COMPLETED orders have none: should one appear, it is
// kept and shown rather than dropped.
func voidUnanswered(s State, t Transition) Transition {
	if s.Status == Cancelled {
		return Transition{To: s, Fate: Drop}
	}
	t.To = s
	t.Alarm = t.Alarm || s.Status != Cancelling
	return t
}

func operatorSettles(s State) (Transition, error) {
	byHand := State{Status: Cancelled, ByHand: true}
	switch s.Status {
	case Pending:
		return Transition{To: byHand, Reason: ReasonOperator, Fate: DropAll}, nil
	case Cancelling:
		return Transition{To: byHand, Fate: DropAll}, nil
	case Cancelled:
		return Transition{To: s, Fate: Keep}, nil
	default:
		return Transition{To: s, Fate: Keep}, &IllegalError{s.Status, OperatorSettles}
	}
}
