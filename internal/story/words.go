package story

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/money"
)

// Status is an order's status as people write it: COMPLETED.
func Status(s orderv1.Order_Status) string { return word(s.String(), "STATUS_") }

// StatusTone is what an order's status means.
func StatusTone(s orderv1.Order_Status) Tone {
	switch s {
	case orderv1.Order_STATUS_PENDING, orderv1.Order_STATUS_CANCELLING:
		return Waiting
	case orderv1.Order_STATUS_COMPLETED:
		return Good
	case orderv1.Order_STATUS_CANCELLED:
		return Over
	}
	return Neutral
}

// OrderState is an order's status, and why it was given up, if it was: CANCELLED (CUSTOMER).
func OrderState(o *orderv1.Order) string {
	text := Status(o.GetStatus())
	if o.GetCancelReason() != orderv1.Order_CANCEL_REASON_UNSPECIFIED {
		text += " (" + reasonOf(o) + ")"
	}
	return text
}

func reasonOf(o *orderv1.Order) string { return word(o.GetCancelReason().String(), "CANCEL_REASON_") }

// OrderLine is how an order stands, on one line: CANCELLED (CUSTOMER), 600 JPY of ada.
func OrderLine(o *orderv1.Order) string {
	return fmt.Sprintf("%s, %s of %s", OrderState(o), Amount(o.GetTotal()), o.GetCustomerId())
}

// Settled reports whether nothing follows by itself: the order is COMPLETED or CANCELLED.
func Settled(o *orderv1.Order) bool {
	return o.GetStatus() == orderv1.Order_STATUS_COMPLETED || o.GetStatus() == orderv1.Order_STATUS_CANCELLED
}

// PaymentState is a payment's status, and why it was declined, if it was: DECLINED (INSUFFICIENT_FUNDS).
func PaymentState(p *paymentv1.Payment) string {
	text := word(p.GetStatus().String(), "STATUS_")
	if p.GetDeclineReason() != paymentv1.Payment_DECLINE_REASON_UNSPECIFIED {
		text += " (" + word(p.GetDeclineReason().String(), "DECLINE_REASON_") + ")"
	}
	return text
}

// Kind is a command's kind: CHARGE or VOID.
func Kind(k relayv1.ParkedCommand_Kind) string { return word(k.String(), "KIND_") }

// Why is why a command needs a person: "tried in vain".
func Why(w relayv1.ParkedCommand_Why) string {
	return strings.ToLower(strings.ReplaceAll(word(w.String(), "WHY_"), "_", " "))
}

// Outlook is what happens to a command that nobody touches, and when.
type Outlook struct {
	Name  OutlookName
	At    *timestamppb.Timestamp // nil where there is no such time
	Sends int32                  // how often it was handed over to a broker, of IsHandedOver and IsDueAgain
}

// OutlookName is the kind of an Outlook.
type OutlookName string

// Every one.
const (
	IsVoided     OutlookName = "voided"      // At is its order's deadline
	IsParked     OutlookName = "parked"      // nothing happens
	IsHeld       OutlookName = "held"        // a relay is at it, until At at the longest
	IsUnwanted   OutlookName = "unwanted"    // it is not sent, and looked at again At
	IsTried      OutlookName = "tried"       // nobody says when
	IsTriedAt    OutlookName = "tried_at"    // At is to come
	IsDueSince   OutlookName = "due_since"   // At has passed
	IsHandedOver OutlookName = "handed_over" // a broker had it, and has it again At, which is to come
	IsDueAgain   OutlookName = "due_again"   // a broker had it, and At has passed
)

// OutlookNames lists them.
var OutlookNames = []OutlookName{
	IsVoided, IsParked, IsHeld, IsUnwanted, IsTried, IsTriedAt, IsDueSince, IsHandedOver, IsDueAgain,
}

// OutlookOf looks at a command.
func OutlookOf(c *relayv1.ParkedCommand) Outlook {
	unwanted, next := c.GetWhy() == relayv1.ParkedCommand_WHY_UNWANTED, c.GetNextAttemptTime()
	switch {
	case c.GetParkTime() != nil && c.GetDeadlineTime() != nil && !unwanted: // an order's, which is given up then
		return Outlook{Name: IsVoided, At: c.GetDeadlineTime()}
	case c.GetParkTime() != nil:
		return Outlook{Name: IsParked}
	case c.GetLeaseEndTime() != nil:
		return Outlook{Name: IsHeld, At: c.GetLeaseEndTime()}
	case unwanted:
		return Outlook{Name: IsUnwanted, At: next}
	case next == nil:
		return Outlook{Name: IsTried}
	}
	due := !next.AsTime().After(time.Now())
	switch sends := c.GetSends(); {
	case sends > 0 && due:
		return Outlook{IsDueAgain, next, sends}
	case sends > 0:
		return Outlook{IsHandedOver, next, sends}
	case due:
		return Outlook{Name: IsDueSince, At: next}
	}
	return Outlook{Name: IsTriedAt, At: next}
}

// String puts it in words.
func (o Outlook) String() string {
	switch o.Name {
	case IsVoided:
		return "it is voided at " + Time(o.At)
	case IsParked:
		return "nothing"
	case IsHeld:
		return "a relay is at it, until " + Time(o.At) + " at the longest"
	case IsUnwanted:
		return "it is not sent, and looked at again at " + Time(o.At)
	case IsTriedAt:
		return "it is tried again at " + Time(o.At)
	case IsDueSince:
		return "it is due since " + Time(o.At)
	case IsHandedOver:
		return "it was handed over " + times(o.Sends) + ", and is to be handed over again at " + Time(o.At)
	case IsDueAgain:
		return "it was handed over " + times(o.Sends) + ", and is due again since " + Time(o.At)
	}
	return "it is tried again"
}

func times(n int32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Amount is an amount of money: 600 JPY, 6.00 USD.
func Amount(m *moneyv1.Money) string { return money.Text(m.GetAmountMinor(), m.GetCurrencyCode()) }

// Time is a moment in local time, to the second, with the zone: others may read it elsewhere, or when another one is in
// force. Of one that is not told there is nothing to say.
func Time(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Local().Format(time.DateTime + " MST")
}

func word(enum, prefix string) string { return strings.TrimPrefix(enum, prefix) }
