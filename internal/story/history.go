package story

import (
	"fmt"
	"slices"
	"strings"
	"time"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// Moment is one line of an order's history.
type Moment struct {
	Time    time.Time `json:"time"`
	From    string    `json:"from"` // the service that tells it
	What    string    `json:"what"`
	Tone    Tone      `json:"tone,omitempty"`
	Implied bool      `json:"implied,omitempty"` // it is not recorded, but follows from what is
	Relay   string    `json:"relay,omitempty"`   // the process that did it
	TraceID string    `json:"trace_id,omitempty"`
}

// History is everything that is known, by time. The clocks are those of the two databases.
func (s Story) History() []Moment {
	moments := slices.Concat(s.accepted(), s.attempts(), s.money(), s.implied(), s.decision(), s.status())
	slices.SortStableFunc(moments, func(x, y Moment) int { return x.Time.Compare(y.Time) })
	return moments
}

func (s Story) accepted() []Moment {
	if s.Order == nil {
		return nil
	}
	what := "PENDING: accepted, to be paid by " + Time(s.Order.GetDeadlineTime())
	return []Moment{{Time: s.Order.GetCreateTime().AsTime(), From: Orderd, What: what}}
}

// status is the last change of the order's status.
func (s Story) status() []Moment {
	if s.Order == nil || s.Order.GetStatus() == orderv1.Order_STATUS_PENDING {
		return nil
	}
	return []Moment{{
		Time: s.Order.GetUpdateTime().AsTime(), From: Orderd,
		What: OrderState(s.Order), Tone: StatusTone(s.Order.GetStatus()),
	}}
}

func (s Story) attempts() []Moment {
	var moments []Moment
	if n := s.Delivery.GetEarlierAttempts(); n > 0 {
		moments = append(moments, Moment{
			Time: s.Delivery.GetAttempts()[0].GetCreateTime().AsTime(), From: Relay,
			What: fmt.Sprintf("%d earlier attempts are left out", n),
		})
	}
	for _, at := range s.Delivery.GetAttempts() {
		moments = append(moments, Moment{
			Time: at.GetCreateTime().AsTime(), From: Relay, What: attemptText(at), Tone: attemptTone(at.GetMeaning()),
			Relay: at.GetRelay(), TraceID: at.GetTraceId(),
		})
	}
	return moments
}

func attemptText(at *relayv1.Attempt) string {
	meaning := strings.ToLower(word(at.GetMeaning().String(), "MEANING_"))
	if at.GetRpc() == "" {
		return fmt.Sprintf("%s %d: %s, nothing was sent", Kind(at.GetKind()), at.GetClaim(), meaning)
	}
	text := fmt.Sprintf("%s %d: %s -> %s in %s, %s", Kind(at.GetKind()), at.GetClaim(), at.GetRpc(), at.GetCode(),
		at.GetLatency().AsDuration().Round(100*time.Microsecond), meaning)
	switch {
	case at.GetRetryDelay() != nil:
		text += ", again in " + at.GetRetryDelay().AsDuration().Round(time.Millisecond).String()
	case at.GetMeaning() != relayv1.Attempt_MEANING_DECIDED:
		text += ", not tried again by itself"
	}
	return text
}

func attemptTone(m relayv1.Attempt_Meaning) Tone {
	switch m {
	case relayv1.Attempt_MEANING_DECIDED:
		return Good
	case relayv1.Attempt_MEANING_CONFLICT, relayv1.Attempt_MEANING_REFUSED, relayv1.Attempt_MEANING_UNREADABLE:
		return Bad
	}
	return Waiting
}

// money is what paymentd decided and booked. A REFUNDED payment was CHARGED first.
func (s Story) money() []Moment {
	p := s.Payment.GetPayment()
	if p == nil {
		return nil
	}
	at := func(t time.Time, what string) Moment { return Moment{Time: t, From: Paymentd, What: what} }
	first := PaymentState(p)
	if p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED {
		first = "CHARGED"
	}
	moments := []Moment{at(p.GetCreateTime().AsTime(), first)}
	if p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED {
		moments = append(moments, at(p.GetUpdateTime().AsTime(), "REFUNDED"))
	}
	for _, entry := range s.Payment.GetLedger() {
		what := "ledger: " + word(entry.GetKind().String(), "KIND_") + " " + Amount(entry.GetAmount())
		moments = append(moments, at(entry.GetCreateTime().AsTime(), what))
	}
	return moments
}

func (s Story) decision() []Moment {
	d := s.Delivery.GetDecision()
	if d == nil {
		return nil
	}
	what := fmt.Sprintf("settled by hand, by %s: %s", d.GetOperator(), d.GetReason())
	return []Moment{{Time: d.GetCreateTime().AsTime(), From: Relay, What: what, Tone: Over}}
}

// implied are the deliveries that left no attempt: a command was decided, and is neither recorded nor in the outbox any
// more. An order that was settled by hand implies nothing.
func (s Story) implied() []Moment {
	p := s.Payment.GetPayment()
	if p == nil || s.Delivery == nil || s.Delivery.GetDecision() != nil || s.Delivery.GetEarlierAttempts() > 0 {
		return nil
	}
	var moments []Moment
	if len(s.Payment.GetLedger()) > 0 || p.GetStatus() == paymentv1.Payment_STATUS_DECLINED {
		moments = append(moments, s.clean(relayv1.ParkedCommand_KIND_CHARGE, p.GetCreateTime().AsTime())...)
	}
	cancelled := s.Order == nil || s.Order.GetStatus() == orderv1.Order_STATUS_CANCELLED
	voided := p.GetStatus() == paymentv1.Payment_STATUS_VOIDED || p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED
	if voided && cancelled {
		moments = append(moments, s.clean(relayv1.ParkedCommand_KIND_VOID, p.GetUpdateTime().AsTime())...)
	}
	return moments
}

// clean is the one delivery of a command that nothing mentions, decided at a time or, where that moved money, right
// after.
func (s Story) clean(kind relayv1.ParkedCommand_Kind, decided time.Time) []Moment {
	if s.mentions(kind) {
		return nil
	}
	for _, entry := range s.Payment.GetLedger() {
		if booked := entry.GetCreateTime().AsTime(); entryOf[kind] == entry.GetKind() && booked.After(decided) {
			decided = booked
		}
	}
	return []Moment{{Time: decided, From: Relay, What: Kind(kind) + " 1: decided", Tone: Good, Implied: true}}
}

// entryOf is what a command books, if it moves money.
var entryOf = map[relayv1.ParkedCommand_Kind]paymentv1.LedgerEntry_Kind{
	relayv1.ParkedCommand_KIND_CHARGE: paymentv1.LedgerEntry_KIND_CHARGE,
	relayv1.ParkedCommand_KIND_VOID:   paymentv1.LedgerEntry_KIND_REFUND,
}

// mentions reports whether a command was recorded or is in the outbox.
func (s Story) mentions(kind relayv1.ParkedCommand_Kind) bool {
	attempt := func(at *relayv1.Attempt) bool { return at.GetKind() == kind }
	waits := func(c *relayv1.ParkedCommand) bool { return c.GetKind() == kind }
	return slices.ContainsFunc(s.Delivery.GetAttempts(), attempt) ||
		slices.ContainsFunc(s.Delivery.GetCommands(), waits)
}
