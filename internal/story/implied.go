package story

import (
	"slices"
	"time"

	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// implied are the deliveries that left no attempt: a command was decided, and is neither recorded nor in the outbox any
// more. An order that was settled by hand implies nothing.
func (s Story) implied() []Moment {
	if s.Delivery == nil || s.Delivery.GetDecision() != nil || s.Delivery.GetEarlierAttempts() > 0 {
		return nil
	}
	changes := s.changes()
	return slices.Concat(s.cleanCharge(changes), s.cleanVoid(changes))
}

// cleanCharge is the delivery of a CHARGE that nothing mentions. Every order had one. It was answered if it left the
// money taken or a decline, or if it alone can have settled the order.
func (s Story) cleanCharge(changes []change) []Moment {
	if s.mentions(relayv1.ParkedCommand_KIND_CHARGE) {
		return nil
	}
	done, paid := find(changes, completed)
	end, ended := find(changes, cancelled)
	_, through := find(changes, cancelling)
	at, booked := s.decidedAt(paymentv1.LedgerEntry_KIND_CHARGE, s.Payment.GetPayment().GetCreateTime().AsTime())
	declined := s.Payment.GetPayment().GetStatus() == paymentv1.Payment_STATUS_DECLINED
	switch {
	case paid && (!booked || at.After(done.at)): // forgotten since, or taken again
		at = done.at
	case booked, declined:
	case ended && !through:
		at = end.at
	default:
		return nil
	}
	return clean(relayv1.ParkedCommand_KIND_CHARGE, at)
}

// cleanVoid is the delivery of a VOID that nothing mentions. There was one only if the order was CANCELLING: without
// that, or before it, the payment was voided by somebody else.
func (s Story) cleanVoid(changes []change) []Moment {
	p := s.Payment.GetPayment()
	begin, through := find(changes, cancelling)
	end, ended := find(changes, cancelled)
	if s.mentions(relayv1.ParkedCommand_KIND_VOID) || !through || !ended || !isVoided(p) {
		return nil
	}
	at, _ := s.decidedAt(paymentv1.LedgerEntry_KIND_REFUND, p.GetUpdateTime().AsTime())
	if at.Before(begin.at) {
		at = end.at
	}
	return clean(relayv1.ParkedCommand_KIND_VOID, at)
}

// decidedAt is when a command was decided or, where that moved money, right after; and whether it did.
func (s Story) decidedAt(moves paymentv1.LedgerEntry_Kind, decided time.Time) (at time.Time, booked bool) {
	for _, entry := range s.Payment.GetLedger() {
		if entry.GetKind() != moves {
			continue
		}
		booked = true
		if t := entry.GetCreateTime().AsTime(); t.After(decided) {
			decided = t
		}
	}
	return decided, booked
}

func clean(kind relayv1.ParkedCommand_Kind, at time.Time) []Moment {
	return []Moment{{
		Time: at, From: Relay, What: Kind(kind) + " 1: decided", Tone: Good, Implied: true, Decided: kind,
	}}
}

// unasked reports whether no VOID of the order can have asked for what became of the payment: the order was never
// CANCELLING, and no VOID was delivered or is to be.
func (s Story) unasked() bool {
	if !s.agreed() || s.Delivery.GetEarlierAttempts() > 0 || s.mentions(relayv1.ParkedCommand_KIND_VOID) {
		return false
	}
	_, through := find(s.changes(), cancelling)
	return !through
}

// agreed reports whether the relay, which was asked first, and orderd, which was asked last, say the same of the
// order's status: then it was so while paymentd was asked.
func (s Story) agreed() bool {
	last := pending
	if told := s.Delivery.GetChanges(); len(told) > 0 {
		last = statusOf(told[len(told)-1].GetTo())
	}
	return s.Order != nil && s.Delivery != nil && last == Status(s.Order.GetStatus())
}

// mentions reports whether a command was recorded or is in the outbox.
func (s Story) mentions(kind relayv1.ParkedCommand_Kind) bool {
	attempt := func(at *relayv1.Attempt) bool { return at.GetKind() == kind }
	waits := func(c *relayv1.ParkedCommand) bool { return c.GetKind() == kind }
	return slices.ContainsFunc(s.Delivery.GetAttempts(), attempt) ||
		slices.ContainsFunc(s.Delivery.GetCommands(), waits)
}
