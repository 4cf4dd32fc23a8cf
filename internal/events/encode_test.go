package events

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "hosho/gen/event/v1"
	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/payment"
)

const (
	id          = "0197f3a2-0000-7000-8000-000000000001"
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// cases are events as they are noted, each with the message that tells it: with all that it can have, and with nothing.
func cases() map[string]struct {
	note func(*Log)
	want *eventv1.Event
} {
	amount := &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 1200}
	kinds := []*relayv1.KindBacklog{{Kind: relayv1.ParkedCommand_KIND_CHARGE, Due: 3}, {BreakerOpen: true}}
	type one = struct {
		note func(*Log)
		want *eventv1.Event
	}
	return map[string]one{
		"order": {func(l *Log) {
			l.Order(traceparent, OrderChange{
				OrderID: id, From: order.Pending, To: order.Cancelling, Reason: order.ReasonPaymentFailed,
				Cause: "attempts spent", AmountMinor: 1200, Currency: "JPY",
			})
		}, &eventv1.Event{TraceId: traceID, What: &eventv1.Event_Order{Order: &eventv1.OrderChange{
			OrderId: id, From: orderv1.Order_STATUS_PENDING, To: orderv1.Order_STATUS_CANCELLING,
			CancelReason: orderv1.Order_CANCEL_REASON_PAYMENT_FAILED, Cause: "attempts spent", Amount: amount,
		}}}},
		"no order": {
			func(l *Log) { l.Order("", OrderChange{}) },
			&eventv1.Event{What: &eventv1.Event_Order{Order: &eventv1.OrderChange{}}},
		},
		"delivery": {func(l *Log) {
			l.Delivery(traceparent, Delivery{
				OrderID: id, Kind: "VOID", Claim: 7, Attempts: 3, Code: "UNAVAILABLE",
				Meaning: relayv1.Attempt_MEANING_BLOCKED, Cause: "void undecided",
				Latency: 2*time.Second + 5, Again: true, Delay: 0,
			})
		}, &eventv1.Event{TraceId: traceID, What: &eventv1.Event_Delivery{Delivery: &eventv1.Delivery{
			OrderId: id, Kind: relayv1.ParkedCommand_KIND_VOID, Claim: 7, Attempts: 3, Code: "UNAVAILABLE",
			Meaning: relayv1.Attempt_MEANING_BLOCKED, Cause: "void undecided",
			Latency: durationpb.New(2*time.Second + 5), RetryDelay: durationpb.New(0),
		}}}},
		"last delivery": {
			func(l *Log) { l.Delivery("", Delivery{Delay: time.Second}) },
			&eventv1.Event{What: &eventv1.Event_Delivery{Delivery: &eventv1.Delivery{Latency: durationpb.New(0)}}},
		},
		"payment": {func(l *Log) {
			l.Payment(traceparent, Decision{
				PaymentID: id, Kind: "CHARGE", Status: payment.Declined, Reason: payment.InsufficientFunds,
				Repeat: true, AmountMinor: 1200, Currency: "JPY",
			})
		}, &eventv1.Event{TraceId: traceID, What: &eventv1.Event_Payment{Payment: &eventv1.PaymentDecision{
			PaymentId: id, Kind: relayv1.ParkedCommand_KIND_CHARGE, Status: paymentv1.Payment_STATUS_DECLINED,
			DeclineReason: paymentv1.Payment_DECLINE_REASON_INSUFFICIENT_FUNDS, Repeat: true, Amount: amount,
		}}}},
		"refused": {
			func(l *Log) { l.Payment("", Decision{PaymentID: id, Kind: "VOID", Code: "KEY_REUSED"}) },
			&eventv1.Event{What: &eventv1.Event_Payment{Payment: &eventv1.PaymentDecision{
				PaymentId: id, Kind: relayv1.ParkedCommand_KIND_VOID, Code: "KEY_REUSED",
			}}},
		},
		"opened": {
			func(l *Log) { l.Breaker("CHARGE", true, "UNAVAILABLE") },
			&eventv1.Event{What: &eventv1.Event_Breaker{Breaker: &eventv1.BreakerChange{
				Kind: relayv1.ParkedCommand_KIND_CHARGE, Open: true, Code: "UNAVAILABLE",
			}}},
		},
		"closed": {
			func(l *Log) { l.Breaker("VOID", false, "") },
			&eventv1.Event{What: &eventv1.Event_Breaker{Breaker: &eventv1.BreakerChange{
				Kind: relayv1.ParkedCommand_KIND_VOID,
			}}},
		},
		"backlog": {
			func(l *Log) { l.Backlog(kinds) },
			&eventv1.Event{What: &eventv1.Event_Backlog{Backlog: &eventv1.BacklogCount{Kinds: kinds}}},
		},
	}
}

func TestWhatIsEncodedIsTheMessage(t *testing.T) {
	t.Parallel()
	for name, test := range cases() {
		l := NewLog("relay", "host:1", nil)
		before := time.Now()
		test.note(l)
		got := told(t, l, 1, 10)
		want := &eventv1.WatchEventsResponse{
			Daemon: "relay", Process: "host:1", StartTime: timestamppb.New(l.started), LastSequence: 1,
			Events: []*eventv1.Event{test.want},
		}
		test.want.Sequence, test.want.CreateTime = 1, got.GetEvents()[0].GetCreateTime()
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if at := test.want.GetCreateTime().AsTime(); at.Before(before.Truncate(0)) || at.After(time.Now()) {
			t.Errorf("%s: got it at %v, want it now", name, at)
		}
	}
}

// told returns what a watcher is told who is to hear a sequence next.
func told(t *testing.T, l *Log, next int64, most int) *eventv1.WatchEventsResponse {
	t.Helper()
	w := &watcher{log: l, next: next, events: make([]event, most)}
	n, first, dropped := l.read(w.next, w.events)
	w.next = first + int64(n)
	w.encode(w.events[:n], first, dropped)
	r := &eventv1.WatchEventsResponse{}
	if err := proto.Unmarshal(w.message, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// A peer may say anything for a code.
func TestALongCodeIsCutAtACharacter(t *testing.T) {
	t.Parallel()
	l := NewLog("relay", "host:1", nil)
	l.Breaker("CHARGE", true, strings.Repeat("茶", 1000))
	got := told(t, l, 1, 1).GetEvents()[0].GetBreaker().GetCode()
	if got == "" || !strings.HasPrefix(strings.Repeat("茶", 20), got) {
		t.Errorf("got %q, want the beginning of what was said", got)
	}
}

// No field of any event says whose an order is, or what was ordered.
func TestNoEventHasACustomerOrAnItem(t *testing.T) {
	t.Parallel()
	message := (&eventv1.Event{}).ProtoReflect().Descriptor()
	seen := map[string]bool{}
	walk(t, message, seen)
	if len(seen) < 8 {
		t.Errorf("looked at %v, want all messages of an event", seen)
	}
}

func walk(t *testing.T, message protoreflect.MessageDescriptor, seen map[string]bool) {
	t.Helper()
	if seen[string(message.FullName())] {
		return
	}
	seen[string(message.FullName())] = true
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		for _, word := range []string{"customer", "item"} {
			if strings.Contains(string(field.Name()), word) {
				t.Errorf("%s: want none of it in an event", field.FullName())
			}
		}
		if field.Message() != nil {
			walk(t, field.Message(), seen)
		}
	}
}
