package board

import (
	"maps"
	"slices"
	"time"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
)

// Line is the ledger of one currency, in its minor unit: what has moved since the ledger began. What was paid before
// and is given back now leaves both sides.
type Line struct {
	Currency string
	Held     int64 // what the payment service took, less what it gave back
	Owed     int64 // the orders that became COMPLETED, less those that are that no more
	InDoubt  int64 // orders whose sides differ at present
	Doubted  int64 // by how much, all together
}

// Why says why a ledger is incomplete.
type Why string

// The reasons.
const (
	Missed   Why = "missed"   // a daemon told more than was heard
	Restart  Why = "restart"  // a daemon is another process now, and what the last one told at its end is not known
	TooMany  Why = "many"     // more orders are under way than are known at the same time
	Stranger Why = "stranger" // an order got on by a daemon to which nobody listens
)

// Incomplete says that the ledger leaves something out.
type Incomplete struct {
	Since  time.Time
	Why    Why
	Daemon string // that told it; empty when that is not known
	Events int64  // that were missed since then, as far as that is known
}

// ledger is the sums.
type ledger struct {
	began      time.Time // when the console began to count
	from       time.Time // an order counts that was accepted later, by the clock of its orderd
	lines      map[string]*Line
	incomplete *Incomplete
}

func newLedger(now time.Time) ledger { return ledger{began: now, lines: map[string]*Line{}} }

// note marks the ledger as incomplete; the first reason stays.
func (l *ledger) note(now time.Time, why Why, daemon string) {
	if l.incomplete == nil {
		l.incomplete = &Incomplete{Since: now, Why: why, Daemon: daemon}
	}
}

// count takes in what a change means to the sums. An order counts that is seen from its beginning, or that was settled
// as paid before it is seen at all.
func (l *ledger) count(r *record, at time.Time, change *eventv1.OrderChange) {
	first := r.status == orderv1.Order_STATUS_UNSPECIFIED
	isNew := change.GetTo() == orderv1.Order_STATUS_PENDING
	if isNew {
		r.accepted = at
	}
	const completed = orderv1.Order_STATUS_COMPLETED
	if seen := isNew || first && change.GetFrom() == completed; seen && !r.counts && !r.barred {
		if at.After(l.from) {
			l.enter(r)
		} else {
			r.barred = true
		}
	}
	if change.GetTo() == completed {
		l.move(r, 0, r.amount)
	}
	if change.GetFrom() == completed {
		l.move(r, 0, -r.amount)
	}
}

// move adds to an order's sides.
func (l *ledger) move(r *record, held, owed int64) {
	counted := r.counts
	if counted {
		l.leave(r)
	}
	r.held += held
	r.owed += owed
	if counted {
		l.enter(r)
	}
}

// enter has an order be part of the sums.
func (l *ledger) enter(r *record) {
	r.counts = true
	l.add(r, 1)
}

// leave has an order be no part of the sums any more.
func (l *ledger) leave(r *record) {
	r.counts = false
	l.add(r, -1)
}

// leaveOut has an order never be part of the sums again.
func (l *ledger) leaveOut(r *record) {
	if r.counts {
		l.leave(r)
	}
	r.barred = true
}

func (l *ledger) add(r *record, sign int64) {
	line := l.lines[r.currency]
	if line == nil {
		line = &Line{Currency: r.currency}
		l.lines[r.currency] = line
	}
	line.Held += sign * r.held
	line.Owed += sign * r.owed
	if r.held != r.owed {
		line.InDoubt += sign
		line.Doubted += sign * max(r.held-r.owed, r.owed-r.held)
	}
}

// all are the lines by their currency.
func (l *ledger) all() []Line {
	var lines []Line
	for _, code := range slices.Sorted(maps.Keys(l.lines)) {
		lines = append(lines, *l.lines[code])
	}
	return lines
}
