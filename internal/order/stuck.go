package order

import (
	"slices"
	"time"
)

// StuckAfter is how long an order may be under way without progress before it is stuck, unless somebody says otherwise.
const StuckAfter = 15 * time.Minute

// TooManyClaims is how often a command may be taken up in vain, however fast, before its order is stuck.
const TooManyClaims = 100

// What a delivery comes to where its order does not go with the answer. It stands in the outbox as last_code.
const (
	EchoMismatch = "ECHO_MISMATCH" // the reply is about another payment than the order's
	NotRefunded  = "NOT_REFUNDED"  // the order was COMPLETED, and its payment was never refunded
	ExpiredEarly = "EXPIRED_EARLY" // declined for a deadline that, by the order's clock, has not passed
)

// ConflictCodes are what a delivery comes to when the saga cannot settle the order: the key belongs to another payment,
// as paymentd says or as its reply shows, or money was taken of which paymentd knows nothing. No retry mends that, as
// long as it is the right paymentd that answers, and an operator may settle the order.
var ConflictCodes = []string{"KEY_REUSED", EchoMismatch, NotRefunded}

// DeferredCodes are what a delivery comes to when the payment service is well, and asks for patience or ends a stream
// as planned. That is no failure.
var DeferredCodes = []string{"OVERLOADED", "STOPPING", "STREAM_ENDED"}

// Standing is what the orders database knows of a command in the outbox and of its order, by that database's clock.
type Standing struct {
	Command  Command
	Parked   bool
	LastCode string        // what its last delivery came to; empty before the first
	Attempts int           // deliveries that were ambiguous
	Claims   int           // how often a relay took it up
	Status   Status        // its order's; empty when it has none
	Age      time.Duration // since the order came to its status
	Late     time.Duration // since the order's deadline; negative before
}

// Why is why a command needs a person. The words are those of relay.v1.
type Why string

// Every why, and that there is none.
const (
	NeedsNoPerson Why = "" // it gets on by itself
	// Parked means that nothing is done until somebody decides, or the deadline does.
	Parked Why = "PARKED"
	// InConflict means that the key belongs to another payment, or that what was paid was not refunded: it is tried,
	// and will not get better.
	InConflict Why = "CONFLICT"
	// Unwanted means that no order waits for it: the order is settled, there is none, or it is a VOID and the order is
	// PENDING. It is not sent.
	Unwanted Why = "UNWANTED"
	// Overdue means that the order is PENDING for too long after its deadline.
	Overdue Why = "OVERDUE"
	// Undecided means that nobody has known for too long whether money is held: the order is CANCELLING, or PENDING
	// after an ambiguous reply.
	Undecided Why = "UNDECIDED"
	// TriedInVain means that TooManyClaims came to no decision.
	TriedInVain Why = "TRIED_IN_VAIN"
)

// Whys lists them, but for that there is none.
var Whys = []Why{Parked, InConflict, Unwanted, Overdue, Undecided, TriedInVain}

// Why is the definition of parked, in conflict and stuck, for everybody who lists or counts such orders. Stuck is the
// last four of them. A CHARGE whose order is CANCELLING needs no person: its VOID decides.
//
// A command of an order that came to its status less than stuckAfter ago can need a person only for being Parked,
// InConflict, Unwanted or TriedInVain.
func (s Standing) Why(stuckAfter time.Duration) Why {
	switch {
	case s.Status == "" || s.Status.Settled(), s.Command == Void && s.Status == Pending:
		return Unwanted
	case s.Command != s.Status.Driver():
		return NeedsNoPerson
	case s.Parked:
		return Parked
	case slices.Contains(ConflictCodes, s.LastCode):
		return InConflict
	case s.Status == Pending && s.Late > stuckAfter:
		return Overdue
	case (s.Status == Cancelling || s.Attempts > 0) && s.Age > stuckAfter:
		return Undecided
	case s.Claims >= TooManyClaims:
		return TriedInVain
	}
	return NeedsNoPerson
}

// Doubled reports whether n is a limit, or that doubled any number of times: how often a person is told of what goes on
// and on.
func Doubled(n, limit int) bool {
	times := n / limit
	return n%limit == 0 && times > 0 && times&(times-1) == 0
}
