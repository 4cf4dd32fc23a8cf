package console

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/money"
	"hosho/internal/plain"
	"hosho/internal/story"
)

// askTimeout bounds all the questions about one order. Each has a bound of its own besides.
const askTimeout = 20 * time.Second

// orderPage is what became of one order.
type orderPage struct {
	ID        string
	Order     *orderv1.Order  // nil where it is not known
	NoOrder   bool            // orderd says that there is none
	Total     *moneyv1.Money  // of the order; nil where it is not known
	Customer  string          // empty where it is not shown
	Items     []*orderv1.Item // none where they are not shown
	Payment   string          // how it stands
	Asked     bool            // the payment service has said what it knows
	Ledger    []entry         // its entries
	Held      *moneyv1.Money  // by them; nil where there is no payment
	TraceID   string          // of the request that placed the order
	Next      []step          // what follows
	Lanes     []laneRow       // the picture
	LeftOut   int             // moments that the picture leaves out
	Moments   []story.Moment  // all of them
	Silent    []string        // who could not be asked, and why
	Notice    notice          // of what was done, or could not be
	Decisions []decision      // what somebody may decide
	Changed   time.Time       // when the order changed last
	PayBy     time.Time       // its deadline
}

// entry is an entry of a payment's ledger.
type entry struct {
	Kind   string
	Amount *moneyv1.Money
	At     time.Time
}

// step is what follows, in words.
type step struct {
	Text string
	Bad  bool // a person must act
}

// oneOrder tells what happened to an order, as a page or, where .json stands at the end, as sagactl explain --json.
func (c *Console) oneOrder(v *visit) error {
	id, asJSON := strings.CutSuffix(v.PathValue("id"), ".json")
	parsed, err := uuid.Parse(id)
	if err != nil {
		return &problem{http.StatusBadRequest, "problem.id", []any{plain.Text(id)}}
	}
	s, err := c.ask(v.Context(), parsed.String())
	if err != nil {
		return err
	}
	if asJSON {
		v.w.Header().Set("Content-Type", "application/json")
		return s.Encode(v.w)
	}
	return v.show("order", c.orderPage(v, s, v.notice()))
}

// ask asks for the story of an order. That nobody knows the order is a problem.
func (c *Console) ask(ctx context.Context, id string) (story.Story, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s := story.Ask(ctx, c.services(), id)
	if s.Unknown() {
		return s, &problem{http.StatusNotFound, "problem.order", []any{id}}
	}
	if !c.config.ShowCustomers {
		s = s.WithoutCustomers()
	}
	return s, nil
}

func (c *Console) orderPage(v *visit, s story.Story, n notice) orderPage {
	p := orderPage{
		ID: s.OrderID, Order: s.Order, NoOrder: s.NoOrder(), Payment: v.view.paymentLine(s),
		TraceID: plain.Text(s.TraceID()), Next: v.view.next(s), Moments: moments(s), Notice: n,
	}
	if s.Order != nil {
		p.Total, p.Changed = s.Order.GetTotal(), s.Order.GetUpdateTime().AsTime()
		p.PayBy = s.Order.GetDeadlineTime().AsTime()
	}
	if c.config.ShowCustomers {
		p.Customer, p.Items = plain.Text(s.Order.GetCustomerId()), s.Order.GetItems()
	}
	if s.Payment.GetPayment() != nil {
		p.Held = &moneyv1.Money{
			CurrencyCode: s.Payment.GetPayment().GetAmount().GetCurrencyCode(), AmountMinor: s.Held(),
		}
	}
	p.Asked = !s.IsSilent(story.Paymentd)
	for _, e := range s.Payment.GetLedger() {
		p.Ledger = append(p.Ledger, entry{
			strings.TrimPrefix(e.GetKind().String(), "KIND_"), e.GetAmount(), e.GetCreateTime().AsTime(),
		})
	}
	for _, who := range s.Silent {
		p.Silent = append(p.Silent, plain.Text(who.Err.Error()))
	}
	for _, command := range s.Delivery.GetCommands() {
		if d, needed := v.decision(s.OrderID, command, fromOrder); needed {
			p.Decisions = append(p.Decisions, d)
		}
	}
	p.Lanes, p.LeftOut = v.view.lanes(p.Moments)
	return p
}

// moments are the history of an order, whose texts may hold what others sent.
func moments(s story.Story) []story.Moment {
	all := s.History()
	for i := range all {
		m := &all[i]
		for _, text := range []*string{&m.What, &m.Cause, &m.Who, &m.Relay, &m.TraceID} {
			*text = plain.Text(*text)
		}
	}
	return all
}

// paymentLine says how the payment stands.
func (v *view) paymentLine(s story.Story) string {
	p := s.Payment.GetPayment()
	switch {
	case p == nil && s.IsSilent(story.Paymentd):
		return v.words.text("order.payment.unknown")
	case p == nil && story.Settled(s.Order):
		return v.words.text("order.payment.none")
	case p == nil:
		return v.words.text("order.payment.notyet")
	}
	text := story.PaymentState(p)
	if s.IsAnothers(p) {
		text += " · " + v.words.text("order.payment.anothers", plain.Text(p.GetCustomerId()), v.amount(p.GetAmount()))
	}
	return text
}

func (v *view) amount(m *moneyv1.Money) string {
	return money.Local(m.GetAmountMinor(), m.GetCurrencyCode(), v.lang)
}

// next says what follows, as sagactl explain does.
func (v *view) next(s story.Story) (steps []step) {
	for _, n := range s.Next() {
		text := v.words.text("next." + string(n.Name))
		if n.Name == story.PaymentIsWrong {
			text = v.words.text("next."+string(n.Name), story.Status(s.Order.GetStatus()))
		}
		if n.Of != nil {
			text = story.Kind(n.Of.GetKind()) + ": " + v.outlook(n.Of)
			if n.Tone == story.Bad {
				text += " " + v.words.text("next.person", v.words.text("why."+whyName(n.Of)+".word"))
			}
		}
		steps = append(steps, step{text, n.Tone == story.Bad})
	}
	return steps
}
