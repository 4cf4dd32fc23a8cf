package story

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// Step is what follows.
type Step struct {
	Name StepName
	What string                 // in words
	Tone Tone                   // Bad: a person must act
	Of   *relayv1.ParkedCommand // that goes on, of CommandGoesOn; nil of others
}

// StepName is the kind of a Step.
type StepName string

// Every one.
const (
	NothingFollows   StepName = "settled"       // the order is
	PaymentIsWrong   StepName = "contradicted"  // the order is settled, and its payment is not as it must be
	CommandGoesOn    StepName = "command"       // or waits, as OutlookOf says
	CommandIsLost    StepName = "lost"          // if it stays so
	OutboxIsEmpty    StepName = "empty"         // and what the order says is not known
	PaymentIsAlone   StepName = "payment_alone" // and holds nothing
	MoneyIsHeldAlone StepName = "money_alone"   // under a key that no order has
)

// StepNames lists them.
var StepNames = []StepName{
	NothingFollows, PaymentIsWrong, CommandGoesOn, CommandIsLost, OutboxIsEmpty, PaymentIsAlone, MoneyIsHeldAlone,
}

// Next is what follows by itself, or who must act. It is empty where that is not known.
func (s Story) Next() []Step {
	switch {
	case s.NoOrder() && s.Delivery == nil:
		return s.nextOfLonePayment()
	case s.contradicted():
		return []Step{{
			Name: PaymentIsWrong, Tone: Bad,
			What: "the order is " + Status(s.Order.GetStatus()) + ", and its payment is not as it must be; it needs " +
				"a person: sagactl reconcile says what to do",
		}}
	case Settled(s.Order):
		return []Step{{Name: NothingFollows, What: "nothing: the order is settled"}}
	case s.Delivery == nil:
		return nil
	case len(s.Delivery.GetCommands()) == 0 && s.Order == nil:
		return []Step{{Name: OutboxIsEmpty, What: "nothing is in the outbox"}}
	case len(s.Delivery.GetCommands()) == 0: // its command was lost, or it changed after the relay was asked
		const lost = "nothing is in the outbox: if it stays so, sagactl reconcile --repair puts its command back"
		return []Step{{Name: CommandIsLost, What: lost}}
	}
	var next []Step
	for _, c := range s.Delivery.GetCommands() {
		next = append(next, stepOf(c))
	}
	return next
}

func stepOf(c *relayv1.ParkedCommand) Step {
	step := Step{
		Name: CommandGoesOn, Of: c, Tone: Waiting, What: Kind(c.GetKind()) + ": " + OutlookOf(c).String(),
	}
	if c.GetWhy() != relayv1.ParkedCommand_WHY_UNSPECIFIED {
		step.What, step.Tone = step.What+"; it needs a person: "+Why(c.GetWhy()), Bad
	}
	return step
}

// nextOfLonePayment is what follows where there is a payment, and no order has its key.
func (s Story) nextOfLonePayment() []Step {
	switch {
	case s.Payment == nil:
		return nil
	case s.Held() == 0:
		return []Step{{
			Name: PaymentIsAlone, What: "nothing: no order has this key, and no money is held under it",
		}}
	}
	return []Step{{
		Name: MoneyIsHeldAlone, Tone: Bad,
		What: "no order has this key, and money is held under it; it needs a person: sagactl reconcile has the call",
	}}
}

// contradicted reports whether the payment of a settled order is not what it must be. The order was settled before
// paymentd was asked and still is, so that nothing was under way.
func (s Story) contradicted() bool {
	if !s.agreed() || s.IsSilent(Paymentd) || s.Delivery.GetDecision() != nil {
		return false
	}
	p := s.Payment.GetPayment()
	switch s.Order.GetStatus() {
	case orderv1.Order_STATUS_COMPLETED:
		return p.GetStatus() != paymentv1.Payment_STATUS_CHARGED || s.IsAnothers(p)
	case orderv1.Order_STATUS_CANCELLED:
		_, wasPaid := find(s.changes(), completed)
		return p == nil || p.GetStatus() == paymentv1.Payment_STATUS_CHARGED ||
			wasPaid && p.GetStatus() != paymentv1.Payment_STATUS_REFUNDED
	}
	return false
}

// OrderLine is how the order stands, on one line.
func (s Story) OrderLine() string {
	switch {
	case s.NoOrder() && s.Delivery != nil:
		return s.OrderID + "  no such order, says orderd; the relay knows it: have both the same database?"
	case s.NoOrder():
		return s.OrderID + "  no such order"
	}
	if s.Order == nil {
		return s.OrderID
	}
	return s.OrderID + "  " + OrderLine(s.Order)
}

// PaymentLine is how its payment stands, on one line: what was decided, and what money is held.
func (s Story) PaymentLine() string {
	p := s.Payment.GetPayment()
	switch {
	case p == nil && s.IsSilent(Paymentd):
		return "not known"
	case p == nil && Settled(s.Order):
		return "none"
	case p == nil:
		return "none yet"
	}
	line := fmt.Sprintf("%s, held: %s", PaymentState(p), Amount(&moneyv1.Money{
		CurrencyCode: p.GetAmount().GetCurrencyCode(), AmountMinor: s.Held(),
	}))
	switch {
	case s.IsAnothers(p):
		line += fmt.Sprintf("; not this order's: it is of %s, %s", p.GetCustomerId(), Amount(p.GetAmount()))
	case s.NoOrder():
		line += fmt.Sprintf("; it is of %s, %s", p.GetCustomerId(), Amount(p.GetAmount()))
	}
	return line
}

// Held is the money that is held under the key, in the currency's minor unit: charges less refunds.
func (s Story) Held() (held int64) {
	for _, entry := range s.Payment.GetLedger() {
		if entry.GetKind() == paymentv1.LedgerEntry_KIND_CHARGE {
			held += entry.GetAmount().GetAmountMinor()
		} else {
			held -= entry.GetAmount().GetAmountMinor()
		}
	}
	return held
}

// IsAnothers reports whether the payment under the order's key is known not to be the order's own.
func (s Story) IsAnothers(p *paymentv1.Payment) bool {
	return s.Order != nil &&
		(p.GetCustomerId() != s.Order.GetCustomerId() || !proto.Equal(p.GetAmount(), s.Order.GetTotal()))
}
