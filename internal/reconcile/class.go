package reconcile

// Class is the name of what is wrong.
type Class string

// The classes, the dearest first.
const (
	PaidNotCompleted    Class = "paid-not-completed"
	CompletedNotHeld    Class = "completed-not-held"
	CancelledButHeld    Class = "cancelled-but-held"
	PaymentWithoutOrder Class = "payment-without-order"
	RefundMissing       Class = "refund-missing"
	LedgerWrong         Class = "ledger-wrong"
	Stranded            Class = "stranded"
	Stuck               Class = "stuck"
	SettledByOperator   Class = "settled-by-operator"
	SealedWithoutOrder  Class = "sealed-without-order"
)

// Classes say what each one means and what to do about it.
var Classes = []struct {
	Class
	Means, Do string
}{
	{
		PaidNotCompleted, "The money was taken, and the order is PENDING for longer than it may be.",
		"See that a relay runs and reaches paymentd. Before the order's deadline it asks again, is told CHARGED, and " +
			"completes the order; after it, the order is given up and its money refunded. --repair makes the CHARGE " +
			"due.",
	},
	{
		CompletedNotHeld, "The order is COMPLETED, and the payment service does not hold its amount.",
		"No step of the saga collects it again. A payment that was forgotten is charged again under its key, or the " +
			"order is cancelled, and settled with a reason if nothing can be refunded: the calls are with each " +
			"finding.",
	},
	{
		CancelledButHeld,
		"The order is CANCELLED, and its money is held, or nothing keeps a late charge from taking it.",
		"No step of the saga leaves CANCELLED. An operator voids the payment: the call is with each finding.",
	},
	{
		PaymentWithoutOrder,
		"A payment holds money and has no order under its key, or has one of another amount, currency or customer.",
		"Find out who made it, and whether the orders database was restored to an older state. An operator voids " +
			"what no order pays for: the call is with each finding.",
	},
	{
		RefundMissing,
		"Money that must be given back was not: the order is CANCELLING for too long and still CHARGED, or was " +
			"COMPLETED and is CANCELLED without a refund, or the payment is REFUNDED and its ledger has no refund.",
		"CANCELLING: see that a relay runs and reaches paymentd; --repair makes the VOID due. CANCELLED: find out " +
			"what became of the money, and give it back by other means. REFUNDED: the ledger was damaged, and " +
			"accounting must correct it.",
	},
	{
		LedgerWrong, "A payment and its own ledger entries disagree.",
		"paymentd writes both in one transaction, so its database was damaged. Compare it with a backup.",
	},
	{
		Stranded, "The order is PENDING without a CHARGE, or CANCELLING without a VOID: nothing drives it.",
		"--repair puts the command back. Orders and commands are written together, so find out who deleted it.",
	},
	{
		Stuck,
		"The order makes no progress: past its deadline, undecided, CANCELLING or decided for too long, tried too " +
			"often, parked, or in conflict; or a command is left that no order waits for.",
		"Parked or in conflict: sagactl parked, retry, settle; where another's payment holds money, the call is with " +
			"the finding. Otherwise see that a relay runs and reaches paymentd; " +
			"--repair makes the command due.",
	},
	{
		SettledByOperator, "An operator cancelled the order by hand. The table audit says who, when and why.",
		"Nothing: it is listed so that somebody may look.",
	},
	{
		SealedWithoutOrder,
		"A payment has no order under its key. It holds no money, and nothing can charge it any more.",
		"Nothing: a restore of the orders database leaves such payments, and so does a VoidPayment by hand.",
	},
}

// Fails reports whether a finding of the class is a failure.
func (c Class) Fails() bool { return c != SettledByOperator && c != SealedWithoutOrder }

// do says what to do about a finding of the class.
func (c Class) do() string {
	for _, class := range Classes {
		if class.Class == c {
			return class.Do
		}
	}
	return ""
}
