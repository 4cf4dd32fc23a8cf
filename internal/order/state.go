package order

// State is an order's place in its state machine: the status, and what of its past decides as well. There are six.
type State struct {
	Status Status
	// AfterCompleted says of a CANCELLING order that it was COMPLETED before: its money was held, and only a refund
	// gives it back. An order whose past is not known is taken for one that never was.
	AfterCompleted bool
	// ByHand says of a CANCELLED order that a person made it so, without the payment service's word.
	ByHand bool
}

// States lists them in the order in which an order can pass through them.
var States = []State{
	{Status: Pending},
	{Status: Completed},
	{Status: Cancelling},
	{Status: Cancelling, AfterCompleted: true},
	{Status: Cancelled},
	{Status: Cancelled, ByHand: true},
}

func (s State) String() string {
	switch {
	case s.AfterCompleted:
		return string(s.Status) + " after " + string(Completed)
	case s.ByHand:
		return string(s.Status) + " by hand"
	}
	return string(s.Status)
}

// State returns the order's state, as far as its own row tells: not who cancelled it.
func (o Order) State() State {
	return State{Status: o.Status, AfterCompleted: o.Status == Cancelling && !o.CompletedAt.IsZero()}
}
