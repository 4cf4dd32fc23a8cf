package events

import (
	"strings"
	"time"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/logline"
	"hosho/internal/order"
	"hosho/internal/payment"
)

// event is one of them, of whichever sort. What may be a part of something large is copied into it, so that thousands
// of events hold nothing else in memory, and the collector finds next to nothing to look at.
type event struct {
	at          int64 // nanoseconds since 1970
	sort        sort
	flag        bool // of a delivery: it is tried again; of a decision: it is a repeat; of a breaker: it is open
	id, trace   text // of the order, or of the payment
	code        text
	currency    text
	cause       string // a constant
	amountMinor int64

	from, to, reason, kind, meaning int32 // as the contract has them
	claim, attempts                 int32
	latency, delay                  time.Duration

	backlog *eventv1.BacklogCount
}

// sort is which sort of event it is: the number of its field.
type sort int32

const (
	ofOrder    sort = 4
	ofDelivery sort = 5
	ofPayment  sort = 6
	ofBreaker  sort = 7
	ofBacklog  sort = 8
)

// text is a short one, or the beginning of a long one.
type text struct {
	size  uint8
	bytes [39]byte
}

func textOf(s string) (t text) {
	if len(s) > len(t.bytes) {
		s = strings.ToValidUTF8(s[:len(t.bytes)], "")
	}
	t.size = uint8(copy(t.bytes[:], s))
	return t
}

func (t *text) get() []byte { return t.bytes[:t.size] }

// The words of the domain, as the contract numbers them; an empty one is none of them, and unspecified.
var (
	orderStatuses   = words(orderv1.Order_Status_value, "STATUS_")
	cancelReasons   = words(orderv1.Order_CancelReason_value, "CANCEL_REASON_")
	paymentStatuses = words(paymentv1.Payment_Status_value, "STATUS_")
	declineReasons  = words(paymentv1.Payment_DeclineReason_value, "DECLINE_REASON_")
	kinds           = words(relayv1.ParkedCommand_Kind_value, "KIND_")
)

func words(values map[string]int32, prefix string) map[string]int32 {
	out := make(map[string]int32, len(values))
	for name, n := range values {
		out[strings.TrimPrefix(name, prefix)] = n
	}
	return out
}

// OrderChange is a change of an order's status, as the message of that name.
type OrderChange struct {
	OrderID     string
	From, To    order.Status // From is empty when the order is new
	Reason      order.CancelReason
	Cause       string // a constant
	AmountMinor int64
	Currency    string
}

// Order notes that the status of an order has changed. The trace is that of a W3C trace context, which may be empty.
func (l *Log) Order(traceparent string, c OrderChange) {
	l.add(&event{
		sort: ofOrder, id: textOf(c.OrderID), trace: traceOf(traceparent), cause: c.Cause,
		amountMinor: c.AmountMinor, currency: textOf(c.Currency),
		from: orderStatuses[string(c.From)], to: orderStatuses[string(c.To)], reason: cancelReasons[string(c.Reason)],
	})
}

// Delivery is what one delivery of a command came to, as the message of that name.
type Delivery struct {
	OrderID         string
	Kind            string // of the command, in the words of the outbox
	Claim, Attempts int
	Code            string
	Meaning         relayv1.Attempt_Meaning
	Cause           string // a constant
	Latency         time.Duration
	Again           bool // it is tried again, after Delay
	Delay           time.Duration
}

// Delivery notes what became of delivering a command.
func (l *Log) Delivery(traceparent string, d Delivery) {
	l.add(&event{
		sort: ofDelivery, id: textOf(d.OrderID), trace: traceOf(traceparent), kind: kinds[d.Kind],
		claim: int32(d.Claim), attempts: int32(d.Attempts), code: textOf(d.Code), meaning: int32(d.Meaning),
		cause: d.Cause, latency: d.Latency, flag: d.Again, delay: d.Delay,
	})
}

// Decision is what a charge or a void came to, as the message PaymentDecision: a payment, or the code of why there is
// none.
type Decision struct {
	PaymentID   string
	Kind        string // of the command, in the words of the outbox
	Status      payment.Status
	Reason      payment.DeclineReason
	Code        string
	Repeat      bool
	AmountMinor int64
	Currency    string
}

// Payment notes what a command came to.
func (l *Log) Payment(traceparent string, d Decision) {
	l.add(&event{
		sort: ofPayment, id: textOf(d.PaymentID), trace: traceOf(traceparent), kind: kinds[d.Kind],
		to: paymentStatuses[string(d.Status)], reason: declineReasons[string(d.Reason)],
		code: textOf(d.Code), flag: d.Repeat, amountMinor: d.AmountMinor, currency: textOf(d.Currency),
	})
}

// Breaker notes that the breaker of a kind was opened by a delivery that came to a code, or closed.
func (l *Log) Breaker(kind string, open bool, code string) {
	l.add(&event{sort: ofBreaker, kind: kinds[kind], flag: open, code: textOf(code)})
}

// Backlog notes what was counted. It is not changed any more.
func (l *Log) Backlog(kinds []*relayv1.KindBacklog) {
	l.add(&event{sort: ofBacklog, backlog: &eventv1.BacklogCount{Kinds: kinds}})
}

func traceOf(traceparent string) text { return textOf(logline.TraceID(traceparent)) }
