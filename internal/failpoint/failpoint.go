// Package failpoint names the moments at which a fault hurts most: between two writes, and between a commit and the
// answer that tells of it. Experiments make a process die, stand still, wait or panic there.
//
// Its promise: a release has no failpoints. Here is an empty function unless the program is built with -tags
// failpoints, and then it does nothing until the file that HOSHO_FAILPOINTS names asks for it.
//
// The file holds rules, separated by semicolons, and is read again whenever it changes:
//
//	cancel.between=kill; charge.before=hold(5s)@0.01; charge.before=panic@0.001
//
// kill ends the process with SIGKILL, stop has it stand still by SIGSTOP until it gets a SIGCONT, hold waits, and panic
// panics; drop has what is there lost, at the points that ask for it (Drops). @ gives the probability of each passing,
// 1 if left out.
package failpoint

// Point is a moment in a program.
type Point string

// The points, by what is under way there.
const (
	PlaceBefore    Point = "place.before"    // orders are about to be written
	PlaceCommitted Point = "place.committed" // they and their commands are committed, and the clients do not know

	CancelBetween   Point = "cancel.between"   // the order is CANCELLING, its VOID is not written, nothing is committed
	CancelCommitted Point = "cancel.committed" // both are committed, and the client does not know

	RelayClaimed    Point = "relay.claimed"    // commands are leased, and nothing was sent
	RelaySent       Point = "relay.sent"       // they are on their way
	RelayAnswered   Point = "relay.answered"   // an answer came, and nothing was done about it
	SettleInside    Point = "settle.inside"    // the answers are applied, and not committed
	SettleGivingUp  Point = "settle.giving-up" // the same, and among them is an order that was given up
	SettleCommitted Point = "settle.committed" // they are committed

	ChargeBefore    Point = "charge.before"    // charges are about to be decided
	ChargeInside    Point = "charge.inside"    // new ones are committed, and what was there before was not read
	ChargeCommitted Point = "charge.committed" // all are known, and the relay does not know
	VoidInside      Point = "void.inside"      // tombstones are committed, and what was there before is as it was
	VoidCommitted   Point = "void.committed"   // all are committed, and the relay does not know

	// Of those who take events from a broker.
	InboxFetched Point = "inbox.fetched" // an event was given out, and nothing was done about it; it can be dropped
	InboxHandled Point = "inbox.handled" // what came of events is committed and confirmed, and the broker does not know
)

// Points lists, for each daemon, the points that it passes.
var Points = map[string][]Point{
	"orderd":   {PlaceBefore, PlaceCommitted, CancelBetween, CancelCommitted},
	"relay":    {RelayClaimed, RelaySent, RelayAnswered, SettleInside, SettleGivingUp, SettleCommitted},
	"paymentd": {ChargeBefore, ChargeInside, ChargeCommitted, VoidInside, VoidCommitted},
}

// OverBroker lists those that a daemon passes besides, where the saga goes over a broker.
var OverBroker = map[string][]Point{
	"relay":    {InboxFetched, InboxHandled},
	"paymentd": {InboxFetched, InboxHandled},
}

// Variable is the environment variable that names the file with the rules.
const Variable = "HOSHO_FAILPOINTS"

// Tag is the build tag that failpoints exist with.
const Tag = "failpoints"
