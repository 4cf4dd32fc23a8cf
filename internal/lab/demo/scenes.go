package demo

// scene is an order of the demo: what is special about it, and how it must end.
type scene struct {
	title  string
	amount int64

	cancelWhen string // the status at which the customer cancels; empty: never
	outage     bool   // paymentd is killed before the order is placed, and started again while it waits

	status  string // how the order must end
	reason  string // why, when it ends CANCELLED
	payment string // how its payment must end
}

// scenes are the orders of the demo, in the order of their appearance.
var scenes = []scene{
	{title: "an ordinary order", amount: 1200, status: "COMPLETED", payment: "CHARGED"},
	{
		title: "paymentd fails with INTERNAL, every time", amount: 9999,
		status: "CANCELLED", reason: "PAYMENT_FAILED", payment: "VOIDED",
	},
	{title: "the charge is made, and the reply is lost", amount: 9998, status: "COMPLETED", payment: "CHARGED"},
	{title: "declined", amount: 9996, status: "CANCELLED", reason: "PAYMENT_DECLINED", payment: "DECLINED"},
	{
		title:  "cancelled by the customer while it is PENDING (the card network hangs on it)",
		amount: 9997, cancelWhen: "PENDING",
		status: "CANCELLED", reason: "CUSTOMER", payment: "VOIDED",
	},
	{
		title: "cancelled by the customer after it was COMPLETED", amount: 2500, cancelWhen: "COMPLETED",
		status: "CANCELLED", reason: "CUSTOMER", payment: "REFUNDED",
	},
	{title: "paymentd is killed, and comes back", amount: 3400, outage: true, status: "COMPLETED", payment: "CHARGED"},
	{
		title: "the card network hangs, every time", amount: 9997,
		status: "CANCELLED", reason: "PAYMENT_FAILED", payment: "VOIDED",
	},
}
