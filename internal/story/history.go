package story

import (
	"fmt"
	"slices"
	"strings"
	"time"

	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/span"
)

// Moment is one line of an order's history.
type Moment struct {
	Time    time.Time `json:"time"`
	From    string    `json:"from"` // the service that tells it
	What    string    `json:"what"`
	Tone    Tone      `json:"tone,omitempty"`
	Implied bool      `json:"implied,omitempty"` // it is not recorded, but follows from what is
	Status  string    `json:"status,omitempty"`  // what the order's status became, if it changed
	Cause   string    `json:"cause,omitempty"`   // why, if that is known
	Who     string    `json:"who,omitempty"`     // changed it: orderd for a customer, the relay, or the operator
	Relay   string    `json:"relay,omitempty"`   // the process that made the attempt
	TraceID string    `json:"trace_id,omitempty"`

	// What it tells, for who says it in other words; nil or empty where it tells something else.
	Attempt  *relayv1.Attempt           `json:"-"`
	Entry    *paymentv1.LedgerEntry     `json:"-"`
	Retry    *relayv1.OperatorRetry     `json:"-"`
	Decision *relayv1.OperatorDecision  `json:"-"`
	Decided  relayv1.ParkedCommand_Kind `json:"-"` // a command that was, and left no attempt
}

// History is everything that is known, by time. The clocks are those of the two databases.
func (s Story) History() []Moment {
	early, late := s.statuses()
	moments := slices.Concat(s.accepted(), early, s.attempts(), s.money(), s.implied(), s.decision(), s.retries(), late)
	slices.SortStableFunc(moments, func(x, y Moment) int { return x.Time.Compare(y.Time) })
	return moments
}

func (s Story) accepted() []Moment {
	if s.Order == nil {
		return nil
	}
	what := "PENDING: accepted, to be paid by " + Time(s.Order.GetDeadlineTime())
	return []Moment{{
		Time: s.Order.GetCreateTime().AsTime(), From: Orderd, What: what, Status: pending, Cause: "order placed",
	}}
}

// statuses are the changes of the order's status. A time that is not known is that of what followed, before which the
// change is told; one that is known is that of a transaction, which comes last in it.
func (s Story) statuses() (early, late []Moment) {
	for _, c := range s.changes() {
		if c.undated {
			early = append(early, s.moment(c))
		} else {
			late = append(late, s.moment(c))
		}
	}
	return early, late
}

func (s Story) attempts() []Moment {
	var moments []Moment
	if n := s.Delivery.GetEarlierAttempts(); n > 0 {
		moments = append(moments, Moment{
			Time: s.Delivery.GetAttempts()[0].GetCreateTime().AsTime(), From: Relay,
			What: fmt.Sprintf("earlier attempts are left out: %d", n),
		})
	}
	for _, at := range s.Delivery.GetAttempts() {
		moments = append(moments, Moment{
			Time: at.GetCreateTime().AsTime(), From: Relay, What: attemptText(at), Tone: attemptTone(at),
			Relay: at.GetRelay(), TraceID: at.GetTraceId(), Attempt: at,
		})
	}
	return moments
}

func attemptText(at *relayv1.Attempt) string {
	meaning := strings.ReplaceAll(strings.ToLower(word(at.GetMeaning().String(), "MEANING_")), "_", " ")
	if at.GetRpc() == "" {
		sent := "nothing was sent"
		if at.GetClaim() > 1 { // it may have been before: over a broker a hand-over is no attempt that is recorded
			sent = "nothing more was sent"
		}
		return fmt.Sprintf("%s %d: %s, %s", Kind(at.GetKind()), at.GetClaim(), meaning, sent)
	}
	text := fmt.Sprintf("%s %d: %s -> %s", Kind(at.GetKind()), at.GetClaim(), at.GetRpc(), at.GetCode())
	if took := at.GetLatency().AsDuration(); took > 0 { // of a refusal that was heard over a broker nobody knows it
		text += " in " + span.Text(took)
	}
	text += ", " + meaning
	switch {
	case at.GetRetryDelay() != nil:
		text += againIn(at.GetMeaning(), span.Text(at.GetRetryDelay().AsDuration().Truncate(time.Millisecond)))
	case at.GetMeaning() != relayv1.Attempt_MEANING_DECIDED, against(at):
		text += ", not tried again by itself"
	}
	return text
}

// against reports whether the payment service has decided, and the order cannot go with what it decided.
func against(at *relayv1.Attempt) bool {
	return at.GetMeaning() == relayv1.Attempt_MEANING_DECIDED && at.GetCode() != "OK"
}

func attemptTone(at *relayv1.Attempt) Tone {
	switch at.GetMeaning() {
	case relayv1.Attempt_MEANING_DECIDED:
		if against(at) {
			return Bad
		}
		return Good
	case relayv1.Attempt_MEANING_CONFLICT, relayv1.Attempt_MEANING_REFUSED, relayv1.Attempt_MEANING_UNREADABLE:
		return Bad
	}
	return Waiting
}

// money is what paymentd decided and booked. A REFUNDED payment was CHARGED first. That it was voided beside the saga
// is said where that is known.
func (s Story) money() []Moment {
	p := s.Payment.GetPayment()
	if p == nil {
		return nil
	}
	at := func(t time.Time, what string) Moment { return Moment{Time: t, From: Paymentd, What: what} }
	by := ""
	if s.unasked() {
		by = ": no VOID of this order asked for that"
	}
	first := PaymentState(p)
	if p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED {
		first = "CHARGED"
	} else if p.GetStatus() == paymentv1.Payment_STATUS_VOIDED {
		first += by
	}
	moments := []Moment{at(p.GetCreateTime().AsTime(), first)}
	if p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED {
		moments = append(moments, at(p.GetUpdateTime().AsTime(), "REFUNDED"+by))
	}
	for _, entry := range s.Payment.GetLedger() {
		what := "ledger: " + word(entry.GetKind().String(), "KIND_") + " " + Amount(entry.GetAmount())
		booked := at(entry.GetCreateTime().AsTime(), what)
		booked.Entry = entry
		moments = append(moments, booked)
	}
	return moments
}

// retries are what operators had tried again.
func (s Story) retries() []Moment {
	var moments []Moment
	for _, r := range s.Delivery.GetRetries() {
		moments = append(moments, Moment{
			Time: r.GetCreateTime().AsTime(), From: Relay, Retry: r,
			What: fmt.Sprintf("%s to be tried again at once, by %s: %s",
				Kind(r.GetKind()), r.GetOperator(), r.GetReason()),
		})
	}
	return moments
}

func (s Story) decision() []Moment {
	d := s.Delivery.GetDecision()
	if d == nil {
		return nil
	}
	what := fmt.Sprintf("settled by hand, by %s: %s", d.GetOperator(), d.GetReason())
	return []Moment{{Time: d.GetCreateTime().AsTime(), From: Relay, What: what, Tone: Over, Decision: d}}
}
