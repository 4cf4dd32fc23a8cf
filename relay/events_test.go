package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "hosho/gen/event/v1"
	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/payment"
)

// events returns the events that the relay has kept and those that follow, until there are those that are wanted.
func (r *running) events(wanted func(*eventv1.Event) bool, n int) (all []*eventv1.Event) {
	t := r.s.t
	t.Helper()
	stream, err := eventv1.NewEventServiceClient(r.conn()).WatchEvents(t.Context(),
		&eventv1.WatchEventsRequest{Kept: true})
	for err == nil && n > 0 {
		var message *eventv1.WatchEventsResponse
		if message, err = stream.Recv(); err == nil && message.GetDaemon() != "relay" {
			t.Errorf("got events of %q, want those of the relay", message.GetDaemon())
		}
		for _, e := range message.GetEvents() {
			if all = append(all, e); wanted(e) {
				n--
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// settles reports whether an event says that an order is settled.
func settles(e *eventv1.Event) bool {
	return strings.HasPrefix(e.GetOrder().GetTo().String(), "STATUS_C") &&
		e.GetOrder().GetTo().String() != "STATUS_CANCELLING"
}

// Orders that go well, that are declined, and that are given up; and one that an operator settles. What the relay tells
// of each is what its rows say of it: how its status changed, and each delivery. A first one that is decided has none.
func TestTheEventsOfAnOrderAreItsStory(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	paid, retried, givenUp, declined, parked := s.place(), s.place(), s.place(), s.place(), s.place()
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	s.exec(`UPDATE outbox SET traceparent = '00-` + trace + `-00f067aa0ba902b7-01'`)
	s.peer.script(retried.ID, order.Charge, fails(codes.Internal, "", 0), fails(codes.Unavailable, "REPLY_LOST", 0))
	s.peer.always(givenUp.ID, order.Charge, fails(codes.Internal, "", 0))
	s.bank.decided(declined, payment.Declined, paymentv1.Payment_DECLINE_REASON_INSUFFICIENT_FUNDS)
	s.peer.always(parked.ID, order.Charge, fails(codes.AlreadyExists, "KEY_REUSED", 0))
	r := s.relay()
	s.awaitRow(parked.ID, order.Charge, "it is parked", func(r row) bool { return r.Parked })
	_, err := r.client().SettleParked(t.Context(), &relayv1.SettleParkedRequest{
		OrderId: parked.ID, Operator: "ada", Reason: "the key is another payment's",
	})
	if err != nil {
		t.Fatal(err)
	}
	events := r.events(settles, 5)
	for _, o := range []order.Order{paid, retried, givenUp, declined, parked} {
		told, recorded := storyIn(t, o, events), s.explain(r, o.ID)
		if o.ID != parked.ID && o.ID != retried.ID && o.ID != givenUp.ID {
			recorded.Attempts = append([]*relayv1.Attempt{{
				Kind: relayv1.ParkedCommand_KIND_CHARGE, Claim: 1, Code: "OK",
				Meaning: relayv1.Attempt_MEANING_DECIDED, TraceId: trace,
			}}, recorded.GetAttempts()...)
		}
		if o.ID == givenUp.ID {
			recorded.Attempts = append(recorded.Attempts, &relayv1.Attempt{
				Kind: relayv1.ParkedCommand_KIND_VOID, Claim: 1, Code: "OK",
				Meaning: relayv1.Attempt_MEANING_DECIDED, TraceId: trace,
			})
		}
		want := &relayv1.ExplainOrderResponse{Attempts: recorded.GetAttempts(), Changes: recorded.GetChanges()}
		if diff := cmp.Diff(want, told, protocmp.Transform(), unforeseen,
			protocmp.IgnoreFields(&relayv1.Attempt{}, "rpc"),
			protocmp.IgnoreFields(&relayv1.StatusChange{}, "who", "trace_id")); diff != "" {
			t.Errorf("%s (-rows +events):\n%s", o.ID, diff)
		}
	}
}

// storyIn returns what events tell of an order, as ExplainOrder would.
func storyIn(t *testing.T, o order.Order, events []*eventv1.Event) *relayv1.ExplainOrderResponse {
	t.Helper()
	told := &relayv1.ExplainOrderResponse{}
	for _, e := range events {
		if d := e.GetDelivery(); d.GetOrderId() == o.ID {
			told.Attempts = append(told.Attempts, &relayv1.Attempt{
				Kind: d.GetKind(), Claim: d.GetClaim(), Code: d.GetCode(), Meaning: d.GetMeaning(),
				TraceId: e.GetTraceId(),
			})
		}
		if c := e.GetOrder(); c.GetOrderId() == o.ID {
			told.Changes = append(told.Changes, &relayv1.StatusChange{
				From: relayv1.StatusChange_Status(c.GetFrom()), To: relayv1.StatusChange_Status(c.GetTo()),
				Cause: c.GetCause(),
			})
			want := &moneyv1.Money{CurrencyCode: o.Currency, AmountMinor: o.AmountMinor}
			if diff := cmp.Diff(want, c.GetAmount(), protocmp.Transform()); diff != "" {
				t.Errorf("%s: amount (-want +got):\n%s", o.ID, diff)
			}
		}
	}
	return told
}

// paymentd is away, and comes back. That is told once each time, with what was the matter; so is what somebody who asks
// for the backlog hears meanwhile.
func TestThatABreakerOpensAndClosesIsTold(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.placeMany(3)
	for _, o := range orders {
		s.peer.always(o.ID, order.Charge, fails(codes.Unavailable, "DATABASE_UNAVAILABLE", 0))
	}
	before := time.Now()
	r := s.relay(func(p *pace) { p.BreakerStreak = 3 })
	eventually(t, "the breaker is open", func() bool { return len(s.log.lines(destinationDown)) == 1 })
	backlog, err := r.client().GetBacklog(t.Context(), &relayv1.GetBacklogRequest{})
	if err != nil {
		t.Fatal(err)
	}
	charges := backlog.GetKinds()[0]
	if since := charges.GetBreakerOpenTime().AsTime(); !charges.GetBreakerOpen() || since.Before(before) ||
		since.After(time.Now()) || charges.GetLastCode() != "DATABASE_UNAVAILABLE" {
		t.Errorf("got %v, want the breaker open since then, for what the charges come to", charges)
	}
	if voids := backlog.GetKinds()[1]; voids.GetBreakerOpenTime() != nil || voids.GetLastCode() != "" {
		t.Errorf("got %v, want nothing of voids", voids)
	}
	for _, o := range orders {
		s.peer.always(o.ID, order.Charge, nil)
	}
	s.drained()
	var breaker []*eventv1.BreakerChange
	var backlogs []*eventv1.BacklogCount
	for _, e := range r.events(settles, 3) {
		if e.GetBreaker() != nil {
			breaker = append(breaker, e.GetBreaker())
		}
		if e.GetBacklog() != nil {
			backlogs = append(backlogs, e.GetBacklog())
		}
	}
	charge := relayv1.ParkedCommand_KIND_CHARGE
	want := []*eventv1.BreakerChange{{Kind: charge, Open: true, Code: "DATABASE_UNAVAILABLE"}, {Kind: charge}}
	if diff := cmp.Diff(want, breaker, protocmp.Transform()); diff != "" {
		t.Errorf("breaker (-want +got):\n%s", diff)
	}
	told := []*eventv1.BacklogCount{{Kinds: backlog.GetKinds()}}
	if diff := cmp.Diff(told, backlogs, protocmp.Transform()); diff != "" {
		t.Errorf("backlog (-want +got):\n%s", diff)
	}
}
