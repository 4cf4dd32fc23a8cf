// Package rules is the saga's law as a list: the twelve rules that the code keeps, and the invariants that hold because
// it does. doc/rules.md says the same in full.
//
// Its promise: whoever checks or prints a rule or an invariant takes its name and its sentence from here, so that a
// name means one thing wherever it is met. It decides nothing and imports the standard library alone.
package rules

import "fmt"

// Number is a rule's. 0 stands for what the saga promises or assumes beside the rules.
type Number int

func (n Number) String() string {
	if n == 0 {
		return "promise"
	}
	return fmt.Sprintf("rule %d", int(n))
}

// Rule is what the code does, always, so that the invariants hold.
type Rule struct {
	Number Number
	Says   string
}

// Rules lists the twelve, by number.
var Rules = []Rule{
	{1, "A status code sets the pace and never the outcome: only what paymentd has stored settles an order."},
	{2, "No error leads to CANCELLED: giving up is CANCELLING and a VOID, and CANCELLED is paymentd's word."},
	{3, "A void of an unknown key leaves a tombstone, which a late charge finds."},
	{4, "A decline is stored under its key, and is not decided again."},
	{5, "paymentd looks a key up before it asks anything else: a known key gets its stored outcome."},
	{6, "A key stands for one order, customer, amount and currency, for charge and void alike."},
	{7, "Compensation is never abandoned: a charge has a budget and a deadline, a void has neither."},
	{8, "A status is left by a compare-and-set on one row, and the row count says who was first."},
	{9, "Claim, commit, then send: no transaction is open during a call, and a lease is no lock."},
	{10, "Times are the database's, and no safety rests on any clock."},
	{11, "A commit without an answer may have happened: nobody is told that it did not."},
	{12, "A claim is worth its experiment: each rule has a mutant that must be found out."},
}
