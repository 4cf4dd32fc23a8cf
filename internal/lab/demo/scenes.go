package demo

// Scene is an order of the demo: what is special about it, and how it must end.
type Scene struct {
	Title  string
	Amount int64 // JPY

	CancelWhen string // the status at which the customer cancels; empty: never
	Outage     bool   // paymentd is killed before the order is placed, and started again while it waits
	NoBroker   bool   // the broker is, likewise; of systems that have one

	Ends Ending // how the order must end
}

// Ending is how an order ended, in the words of the databases.
type Ending struct {
	Status  string // of the order
	Reason  string // why, when it is CANCELLED
	Payment string // the status of its payment; empty: there is none
}

func (e Ending) String() string {
	text := e.Status
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	if e.Payment == "" {
		return text + ", no payment"
	}
	return text + ", payment " + e.Payment
}

// Scenes are the orders of the demo, in the order of their appearance.
func Scenes() []Scene {
	paid := Ending{"COMPLETED", "", "CHARGED"}
	failed := Ending{"CANCELLED", "PAYMENT_FAILED", "VOIDED"}
	return []Scene{
		{Title: "an ordinary order", Amount: 1200, Ends: paid},
		{Title: "paymentd fails with INTERNAL, every time", Amount: 9999, Ends: failed},
		{Title: "the charge is made, and the reply is lost", Amount: 9998, Ends: paid},
		{Title: "declined", Amount: 9996, Ends: Ending{"CANCELLED", "PAYMENT_DECLINED", "DECLINED"}},
		{
			Title:  "cancelled by the customer while it is PENDING (the card network hangs on it)",
			Amount: 9997, CancelWhen: "PENDING", Ends: Ending{"CANCELLED", "CUSTOMER", "VOIDED"},
		},
		{
			Title:  "cancelled by the customer after it was COMPLETED",
			Amount: 2500, CancelWhen: "COMPLETED", Ends: Ending{"CANCELLED", "CUSTOMER", "REFUNDED"},
		},
		{Title: "paymentd is killed, and comes back", Amount: 3400, Outage: true, Ends: paid},
		{Title: "the card network hangs, every time", Amount: 9997, Ends: failed},
	}
}

// OverBroker is a scene of systems with a broker.
func OverBroker() Scene {
	return Scene{
		Title: "the broker is killed, and comes back", Amount: 4100, NoBroker: true,
		Ends: Ending{"COMPLETED", "", "CHARGED"},
	}
}
