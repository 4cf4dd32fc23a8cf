// Package board is what a console knows of the orders under way, from what the daemons tell of themselves: the money
// that is held beside the money that is owed, what waits and why, and what became of the orders before.
//
// Its promise: it asks nobody and decides nothing. In whatever order the events of different daemons come, the two
// sides of its ledger are equal once all of an order's events have come. What it could not hear makes the ledger
// incomplete, and never one that does not balance. It keeps no more than a bounded number of orders, and of those that
// are settled nothing for longer than some seconds.
package board

import (
	"container/list"
	"time"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
)

const (
	// maxRecords is how many orders are known at the same time.
	maxRecords = 100_000
	// memory is for how long an order is known after its last event, if nothing more is to come of it.
	memory = 10 * time.Second
)

// Board is the state of all that. It is not safe for concurrent use. The times that its methods are given are those of
// the console, when it was told; they never go back.
type Board struct {
	records map[string]*record
	recent  *list.List // of *record that may be forgotten, the one that was touched last at the end

	ledger   ledger
	columns  columns
	outbox   outbox
	pace     pace
	happened happened
}

// New makes a board that knows nothing yet.
func New(now time.Time) *Board {
	return &Board{
		records: map[string]*record{}, recent: list.New(),
		ledger: newLedger(now), columns: newColumns(), outbox: newOutbox(), pace: pace{began: now},
	}
}

// Recall takes in events of before the console looked: they are no part of its rates.
func (b *Board) Recall(now time.Time, daemon, address string, events []*eventv1.Event) {
	pace := b.pace
	b.Tell(now, daemon, address, events)
	b.pace = pace
}

// Tell takes in events of a daemon, in the order in which it told them. The address is that of the daemon.
func (b *Board) Tell(now time.Time, daemon, address string, events []*eventv1.Event) {
	b.forget(now)
	b.columns.age(now)
	for _, e := range events {
		switch what := e.GetWhat().(type) {
		case *eventv1.Event_Order:
			b.changed(now, e.GetCreateTime().AsTime(), what.Order)
		case *eventv1.Event_Payment:
			b.decided(now, what.Payment)
		case *eventv1.Event_Delivery:
			b.delivered(now, e.GetCreateTime().AsTime(), what.Delivery)
		case *eventv1.Event_Breaker:
			b.switched(e.GetCreateTime().AsTime(), address, what.Breaker)
		}
		b.happened.add(Happening{Daemon: daemon, Address: address, At: e.GetCreateTime().AsTime(), Event: e})
	}
}

// changed takes in that an order's status is another one.
func (b *Board) changed(now, at time.Time, change *eventv1.OrderChange) {
	r := b.record(now, change.GetOrderId())
	if r == nil {
		return
	}
	r.name(change.GetAmount())
	b.ledger.count(r, at, change)
	if change.GetCancelReason() != orderv1.Order_CANCEL_REASON_UNSPECIFIED {
		r.reason = change.GetCancelReason()
	}
	if to := change.GetTo(); to > r.status { // an order only goes on; what is told late is past
		r.status, r.since = to, at
	}
	b.pace.changed(now, at, r, change)
	b.columns.changed(now, r, change)
	b.outbox.changed(r)
}

// decided takes in what a charge or a void came to.
func (b *Board) decided(now time.Time, p *eventv1.PaymentDecision) {
	if p.GetStatus() == paymentv1.Payment_STATUS_UNSPECIFIED {
		return
	}
	r := b.record(now, p.GetPaymentId())
	if r == nil {
		return
	}
	r.name(p.GetAmount())
	told := r.payment
	r.payment = max(r.payment, p.GetStatus())
	moved := p.GetAmount().GetAmountMinor()
	// A commit whose answer was lost is told by nobody, and the next to ask is told a repeat.
	untold := told == paymentv1.Payment_STATUS_UNSPECIFIED && !r.accepted.IsZero()
	switch {
	case p.GetRepeat() && !(untold && p.GetStatus() == paymentv1.Payment_STATUS_CHARGED):
	case p.GetStatus() == paymentv1.Payment_STATUS_CHARGED:
		b.ledger.move(r, moved, 0)
	case p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED:
		b.ledger.move(r, -moved, 0)
	}
}

// Daemon takes in how a daemon does, in a word of the caller's.
func (b *Board) Daemon(now time.Time, daemon, address, state string) {
	b.happened.add(Happening{Daemon: daemon, Address: address, At: now, State: state})
}

// Gap takes in that something was told that nobody has heard. The orders that were under way at that moment are left
// out of the ledger, since what is missing may be theirs; of those that were not, nothing more is counted. How many
// events that are may be unknown, which is 0.
func (b *Board) Gap(now time.Time, why Why, daemon string, events int64) {
	b.ledger.note(now, why, daemon)
	b.ledger.incomplete.Events += events
	for _, r := range b.records {
		if r.over() {
			r.counts = false
		}
		b.ledger.leaveOut(r)
		b.touch(now, r)
	}
	b.ledger.from = now
}

// Anew has the ledger begin again, with what happens from now on.
func (b *Board) Anew(now time.Time) {
	for _, r := range b.records {
		b.ledger.leaveOut(r)
		b.touch(now, r)
	}
	b.ledger = newLedger(now)
	b.ledger.from = now
}
