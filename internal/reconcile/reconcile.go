// Package reconcile compares the orders database with the payments database, order by order, and puts back to work what
// has stopped.
//
// Its promise: every damage that breaks the promise of an order or of a payment is found under one name, which says
// what it means and who mends it. A running system raises no false alarm: what looks wrong is read again, order,
// payment, order, and is a finding only if the order stood still meanwhile, so that both sides were seen in one state
// that really was. What is under way counts as stuck only after a stated time. Memory is bounded by a window of rows,
// however many orders there are. Repair only puts a command back into the outbox or makes it due; it never writes a
// status, a payment or the ledger.
//
// A Monitor compares again and again, and repairs nothing. Its incremental passes miss nothing that the daemons wrote
// since the pass before, in either database and however late it was committed: what is new, what was under way, what
// left COMPLETED, what was refunded, and what was wrong. What was damaged without any trace of that is for its full
// passes. A pass that fails changes nothing of what is known, is counted, and is made again.
//
// Package internal/lab/invariant judges the same truth, and that is on purpose. This judge is for operators: it knows
// neither whether anything is under way nor what the daemons were told, must be right about a system that goes on, and
// proposes repairs. The other belongs to the experiments and may read everything at rest. They share no query, so that
// a mistake in one of them hides no damage from both; TestClassifyAgreesWithTheInvariants holds this one against the
// rules of the other, in every state that one key can be in (doc/decisions/two-judges.md).
package reconcile

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/order"
	"hosho/internal/payment"
)

// Window is how many rows of each database are compared at a time.
const Window = 5000

// Options says what to look for and what to do about it.
type Options struct {
	StuckAfter time.Duration        // 0: order.StuckAfter; order.Standing says what it means
	Window     int                  // rows; 0: Window
	Repair     bool                 // put back to work what may be
	Nameless   bool                 // findings name no customers: Customer and AnotherCustomer stand for them
	Found      func(Finding) error  // is given each finding; its error ends the run
	Progress   func(sofar *Summary) // called after each window; may be nil
}

// What stands for customers in findings that name none.
const (
	Customer        = "CUSTOMER"         // of the order, or of the payment that has none
	AnotherCustomer = "ANOTHER-CUSTOMER" // of a payment under an order's key
)

// Finding is an order or a payment that needs somebody's attention.
type Finding struct {
	Class    Class           `json:"class"`
	OrderID  string          `json:"order_id"` // the payment's key, too
	Order    order.Status    `json:"order_status,omitempty"`
	Commands []order.Command `json:"commands,omitempty"` // what the outbox holds for the order
	Payment  payment.Status  `json:"payment_status,omitempty"`
	Why      string          `json:"-"`                // it is one, with no customer's name
	Found    string          `json:"found"`            // why it is one, and what both sides say
	Todo     string          `json:"todo,omitempty"`   // what a person can do
	Repair   string          `json:"repair,omitempty"` // what Repair did; empty when it was not asked for
}

// Summary counts what was read and found.
type Summary struct {
	Orders       int64           `json:"orders"`
	Payments     int64           `json:"payments"`
	UnderWay     int64           `json:"under_way"` // orders that were not settled when they were read
	Findings     map[Class]int64 `json:"findings"`  // those that are none by themselves included
	PutBack      int64           `json:"put_back"`  // commands that Repair put into the outbox again
	MadeDue      int64           `json:"made_due"`  // commands that Repair made due
	Clean        bool            `json:"clean"`
	MostRowsHeld int             `json:"most_rows_held"` // at any moment: the bound of the memory
}

// Run reads both databases from the first key to the last, once they are known to be of one system. Its error means
// that they are not, that they could not be read or that a repair could not be written, not that something was found.
func Run(ctx context.Context, orders, payments *pgxpool.Pool, o Options) (Summary, error) {
	s := newSweep(orders, payments, o)
	err := s.whole(ctx)
	return s.end(err)
}
