package story

import (
	"slices"
	"time"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// The statuses that an order comes to, as people write them.
const (
	pending    = "PENDING"
	completed  = "COMPLETED"
	cancelling = "CANCELLING"
	cancelled  = "CANCELLED"
)

// The causes that something is made of here, in the words of the order context.
const (
	customerCancels = "customer cancels"
	operatorSettles = "operator settles"
	paymentCharged  = "payment charged"
)

// change is a change of the order's status.
type change struct {
	from, to   string // from is empty where it is not known
	at         time.Time
	cause, who string // empty where they are not known
	traceID    string
	implied    bool // it was not recorded, or its cause was not
	undated    bool // at is the latest that it can have been
}

// changes are all that is known of how the order's status changed since it was PENDING, the first change first.
func (s Story) changes() []change {
	var known []change
	for _, c := range s.Delivery.GetChanges() {
		known = append(known, change{
			from: statusOf(c.GetFrom()), to: statusOf(c.GetTo()), at: c.GetCreateTime().AsTime(),
			cause: c.GetCause(), who: c.GetWho(), traceID: c.GetTraceId(),
		})
	}
	if now := Status(s.Order.GetStatus()); s.Order != nil && now != pending && now != lastOf(known) {
		known = append(known, change{to: now, at: s.Order.GetUpdateTime().AsTime()})
	}
	if len(known) == 0 || s.Delivery == nil {
		return known
	}
	return s.completeChanges(known)
}

// completeChanges adds what nobody has recorded and follows from what is there: a release of before has made the last
// change.
func (s Story) completeChanges(known []change) []change {
	last := &known[len(known)-1]
	switch {
	case last.cause != "":
		return known
	case last.to == completed:
		last.from, last.cause = pending, paymentCharged // nothing else leads there
		return known
	case last.to == cancelling:
		last.cause, _ = s.givenUp(known)
		last.implied = true
		return known
	}
	last.cause, last.implied = s.endedBy(), true
	if _, told := find(known, cancelling); told {
		return known
	}
	cause, at := s.givenUp(known)
	if cause == "" {
		return known
	}
	missing := change{to: cancelling, at: at, cause: cause, implied: true}
	if at.IsZero() {
		missing.at, missing.undated = s.latestGivenUp(last.at), true
	}
	return slices.Insert(known, len(known)-1, missing)
}

// givenUp says why an order is or was CANCELLING, as far as that follows, and when, where that is known. The cause is
// empty where it may not have been CANCELLING at all.
func (s Story) givenUp(known []change) (cause string, at time.Time) {
	switch reason := s.Order.GetCancelReason(); {
	case known[0].to == completed, reason == orderv1.Order_CANCEL_REASON_CUSTOMER:
		return customerCancels, time.Time{}
	case reason == orderv1.Order_CANCEL_REASON_PAYMENT_FAILED, reason == orderv1.Order_CANCEL_REASON_DEADLINE:
		for _, a := range s.Delivery.GetAttempts() {
			cause, ends := givesUp[a.GetMeaning()]
			if ends && a.GetKind() == relayv1.ParkedCommand_KIND_CHARGE && a.GetRetryDelay() == nil {
				return cause, a.GetCreateTime().AsTime()
			}
		}
	}
	return "", time.Time{}
}

// givesUp are the meanings of a charge's last attempt that give its order up, each with the cause.
var givesUp = map[relayv1.Attempt_Meaning]string{
	relayv1.Attempt_MEANING_AMBIGUOUS:  "attempts spent",
	relayv1.Attempt_MEANING_REFUSED:    "charge refused",
	relayv1.Attempt_MEANING_UNREADABLE: "charge refused",
	relayv1.Attempt_MEANING_EXPIRED:    "deadline passed",
}

// latestGivenUp is before what was done because the order had been given up, and before its end.
func (s Story) latestGivenUp(end time.Time) time.Time {
	earlier := func(t time.Time) {
		if t.Before(end) {
			end = t
		}
	}
	for _, a := range s.Delivery.GetAttempts() {
		if a.GetKind() == relayv1.ParkedCommand_KIND_VOID {
			earlier(a.GetCreateTime().AsTime())
		}
	}
	if p := s.Payment.GetPayment(); isVoided(p) && p.GetUpdateTime().AsTime().After(s.Order.GetCreateTime().AsTime()) {
		earlier(p.GetUpdateTime().AsTime())
	}
	return end
}

// endedBy is what made the order CANCELLED: an operator, or what the payment service says to this day. It is empty
// where that is not known.
func (s Story) endedBy() string {
	p := s.Payment.GetPayment()
	switch {
	case s.Delivery.GetDecision() != nil:
		return operatorSettles
	case p.GetDeclineReason() == paymentv1.Payment_DECLINE_REASON_EXPIRED:
		return "payment expired"
	}
	return map[paymentv1.Payment_Status]string{
		paymentv1.Payment_STATUS_DECLINED: "payment declined",
		paymentv1.Payment_STATUS_VOIDED:   "payment voided",
		paymentv1.Payment_STATUS_REFUNDED: "payment refunded",
	}[p.GetStatus()]
}

// moment tells a change. Whoever made it tells it, or orderd, which knows every order.
func (s Story) moment(c change) Moment {
	m := Moment{
		Time: c.at, From: Orderd, Status: c.to, Cause: c.cause, Who: c.who, TraceID: c.traceID, Implied: c.implied,
		What: c.to, Tone: StatusTone(orderv1.Order_Status(orderv1.Order_Status_value["STATUS_"+c.to])),
	}
	if c.to != completed && s.Order.GetCancelReason() != orderv1.Order_CANCEL_REASON_UNSPECIFIED {
		m.What += " (" + reasonOf(s.Order) + ")"
	}
	if c.cause != "" {
		m.What += ": " + c.cause
	}
	if c.undated {
		m.What += ", not later than this"
	}
	if c.cause != "" && c.cause != customerCancels {
		m.From = Relay
	}
	return m
}

// find returns the change to a status, if there was one.
func find(changes []change, to string) (change, bool) {
	i := slices.IndexFunc(changes, func(c change) bool { return c.to == to })
	if i < 0 {
		return change{}, false
	}
	return changes[i], true
}

// lastOf is the status after the last change, empty when there is none.
func lastOf(changes []change) string {
	if len(changes) == 0 {
		return ""
	}
	return changes[len(changes)-1].to
}

func statusOf(s relayv1.StatusChange_Status) string {
	if s == relayv1.StatusChange_STATUS_UNSPECIFIED {
		return ""
	}
	return word(s.String(), "STATUS_")
}

func isVoided(p *paymentv1.Payment) bool {
	return p.GetStatus() == paymentv1.Payment_STATUS_VOIDED || p.GetStatus() == paymentv1.Payment_STATUS_REFUNDED
}
