package rules

import "slices"

// ID is the name of an invariant, as people read it in reports, logs and documents.
type ID string

// The invariants. Those with a number hold for the saga, the others for what an experiment sees of its daemons.
const (
	I1  ID = "I1"
	I2  ID = "I2"
	I3  ID = "I3"
	I4  ID = "I4"
	I5  ID = "I5"
	I6  ID = "I6"
	I7  ID = "I7"
	I8  ID = "I8"
	I9  ID = "I9"
	I10 ID = "I10"
	I11 ID = "I11"
	I12 ID = "I12"
	I13 ID = "I13"
	I14 ID = "I14"
	I15 ID = "I15"
	I16 ID = "I16"
	I17 ID = "I17"
	I18 ID = "I18"
	I19 ID = "I19"
	I20 ID = "I20"
	I21 ID = "I21"
	I22 ID = "I22"
	I23 ID = "I23"
	I24 ID = "I24"
	I25 ID = "I25"
	D1  ID = "D1"

	Early     ID = "early"
	Definite  ID = "definite"
	Stopped   ID = "stopped"
	Fault     ID = "fault"
	Steady    ID = "steady"
	Confirmed ID = "confirmed"
)

// When is when an invariant must hold.
type When string

// The moments that several invariants share.
const (
	Always    When = "at every moment"
	AtRest    When = "when nothing is under way"
	Simulated When = "at every moment, where paymentd simulates the card network"
)

// Checker is who checks an invariant: the folder of the code that does.
type Checker string

// The checkers.
const (
	Databases   Checker = "internal/lab/invariant" // reads both databases
	Clients     Checker = "internal/lab/load"      // knows what clients were told
	Experiment  Checker = "internal/lab/chaos"     // sees logs, processes and servers
	Production  Checker = "internal/reconcile"     // compares the databases of a system at work
	Model       Checker = "internal/order"         // its test walks every state of both machines
	Schema      Checker = "migrations"             // a constraint or a trigger refuses what would break it
	OrderGrants Checker = "internal/orderdb"       // its test runs under roles with no more than their grants
)

// Invariant is what must be true of the data, of what clients are told, or of the daemons.
type Invariant struct {
	ID   ID
	Says string
	When When
	By   []Checker
}

// Invariants lists them all, in the order in which they are printed.
var Invariants = []Invariant{
	{I1, "a payment is charged at most once, and refunded only after its charge", Always, by(Databases, Model, Schema)},
	{
		I2, "a COMPLETED order's payment is CHARGED: same amount, currency and customer", Always,
		by(Databases, Production, Model),
	},
	{I3, "a CANCELLED order's payment is DECLINED, VOIDED or REFUNDED", Always, by(Databases, Production, Model)},
	{I4, "every payment belongs to an order of the same amount", Always, by(Databases, Production)},
	{
		I5, "a PENDING order has its CHARGE command, a CANCELLING one its VOID, a settled one none", Always,
		by(Databases, Production, Model),
	},
	{I6, "statuses change along the paths of their state machines and no other", Always, by(Model, Schema)},
	{
		I7, "the ledger adds up: money is held for COMPLETED orders and for nothing else",
		"for each payment at every moment, in all when nothing is under way", by(Databases, Production),
	},
	{I8, "a payment's key, customer, amount and currency never change", Always, by(Schema)},
	{I9, "one order per customer and request_id", Always, by(Databases, Clients, Schema)},
	{I10, "an acknowledged order exists, and no client sees its status go back", Always, by(Clients)},
	{I11, "an order whose cancellation was acknowledged does not end COMPLETED", Always, by(Clients)},
	{I12, "the order of 9999 took no money", Simulated, by(Databases)},
	{I13, "no command waits or tries longer than it may", Always, by(Databases)},
	{I14, "every order is settled", AtRest, by(Databases, Model)},
	{
		I15, "no key is in conflict, and no assumption breaks",
		"at every moment, unless a fault forges replies or an operator is needed on purpose", by(Experiment),
	},
	{I16, "a settled order's payment key is stored", Always, by(Databases, Production, Schema)},
	{I17, "amounts and currencies are in their domains", Always, by(Databases, Schema)},
	{I18, "each process may do to the tables what it needs, and no more", Always, by(OrderGrants)},
	{I19, "no index is damaged: amcheck finds nothing", AtRest, by(Experiment)},
	{
		I20, "the outbox is small again: 64 MB and 50,000 dead rows at most",
		"ten minutes after the last order is settled", by(Experiment),
	},
	{I21, "no transaction of a daemon stands open for 15 s", Always, by(Experiment)},
	{I22, "what the daemons count and tell is what the tables hold", AtRest, by(Experiment)},
	{I23, "goroutines, open files and connections are given back", AtRest, by(Experiment)},
	{I24, "no log holds a password, a customer, what was ordered, or a control character", Always, by(Experiment)},
	{I25, "a CANCELLED order that was COMPLETED has a REFUNDED payment", Always, by(Databases, Production, Model)},
	{D1, "an order that was given up for its deadline was so not before it", Always, by(Databases)},

	{
		Early, "no command is claimed before its wait or its lease is over, unless a person asks for it", Always,
		by(Experiment),
	},
	{
		Definite, "no client is given an error that says more than is known, or that it cannot act on", Always,
		by(Clients),
	},
	{Stopped, "no daemon ends by itself", Always, by(Experiment)},
	{
		Fault, "no daemon panics, races or answers INTERNAL, unless a failpoint or the simulation makes it", Always,
		by(Experiment),
	},
	{
		Steady, "what one customer or one card network does is not felt by the others",
		"while a fault of customers, of a slow link or of certificates is the only one", by(Experiment),
	},
	{
		Confirmed, "no event counts as confirmed that the broker has put nowhere",
		"while missing topics or queues are the only fault", by(Experiment),
	},
}

func by(checkers ...Checker) []Checker { return checkers }

// CheckedBy returns the invariants that a checker checks, in the order of Invariants.
func CheckedBy(c Checker) []Invariant {
	var checked []Invariant
	for _, i := range Invariants {
		if slices.Contains(i.By, c) {
			checked = append(checked, i)
		}
	}
	return checked
}
