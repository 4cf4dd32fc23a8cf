package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/daemon"
	"hosho/internal/order"
)

func (s *system) explain(r *running, id string) *relayv1.ExplainOrderResponse {
	s.t.Helper()
	reply, err := r.client().ExplainOrder(s.t.Context(), &relayv1.ExplainOrderRequest{OrderId: id})
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// unforeseen are the fields that differ from run to run.
var unforeseen = cmp.Options{
	protocmp.IgnoreFields(&relayv1.Attempt{}, "create_time", "relay", "latency", "retry_delay"),
	protocmp.IgnoreFields(&relayv1.StatusChange{}, "create_time"),
	protocmp.IgnoreFields(&relayv1.OperatorRetry{}, "create_time"),
}

// A charge that fails in three ways and succeeds, and one that succeeds at once.
func TestExplainOrderTellsEachAttempt(t *testing.T) {
	both(t, func(s *system, begin func()) {
		o, clean := s.place(), s.place()
		s.peer.script(o.ID, order.Charge, fails(codes.Internal, "", 0), fails(codes.Unavailable, "REPLY_LOST", 0))
		s.exec(`
			UPDATE outbox
			SET traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
			WHERE key = $1`, o.ID)
		begin()
		r := s.relay()
		s.drained()
		first, method := int32(1), "ProcessPayments"
		if s.peer.arrived(o.ID, order.Charge)[0].alone {
			first, method = 4, "ChargePayment" // it was made a suspect
		}
		attempt := func(n int32, code string, means relayv1.Attempt_Meaning) *relayv1.Attempt {
			return &relayv1.Attempt{
				Kind: relayv1.ParkedCommand_KIND_CHARGE, Claim: first + n, Rpc: method, Code: code, Meaning: means,
				TraceId: "4bf92f3577b34da6a3ce929d0e0e4736",
			}
		}
		want := &relayv1.ExplainOrderResponse{Attempts: []*relayv1.Attempt{
			attempt(0, "INTERNAL", relayv1.Attempt_MEANING_AMBIGUOUS),
			attempt(1, "REPLY_LOST", relayv1.Attempt_MEANING_BLOCKED),
			attempt(2, "OK", relayv1.Attempt_MEANING_DECIDED),
		}, Changes: []*relayv1.StatusChange{{
			From: relayv1.StatusChange_STATUS_PENDING, To: relayv1.StatusChange_STATUS_COMPLETED,
			Cause: "payment charged",
		}}}
		got := s.explain(r, o.ID)
		if diff := cmp.Diff(want, got, protocmp.Transform(), unforeseen); diff != "" {
			s.t.Errorf("explanation (-want +got):\n%s", diff)
		}
		for i, a := range got.GetAttempts() {
			if a.GetCreateTime().AsTime().Before(o.CreatedAt) || a.GetLatency().AsDuration() <= 0 ||
				a.GetRelay() != daemon.Instance() {
				s.t.Errorf("attempt %d: got %v, want a time, a latency and the relay's name", i, a)
			}
			if again := i < 2; (a.GetRetryDelay() != nil) != again {
				s.t.Errorf("attempt %d: got %v, want another to follow: %v", i, a, again)
			}
		}
		if got := len(s.explain(r, clean.ID).GetAttempts()); method == "ProcessPayments" && got != 0 {
			s.t.Errorf("the clean order: got %d attempts, want none: they are implied", got)
		}
	})
}

func TestExplainOrderTellsWhatIsStillToDo(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	held, waits := s.place(), s.place()
	told := make(chan struct{})
	s.peer.script(held.ID, order.Charge, holds(told))
	s.peer.script(waits.ID, order.Charge, fails(codes.ResourceExhausted, "", time.Minute))
	r := s.relay()
	s.awaitRow(held.ID, order.Charge, "one is held", func(r row) bool { return r.Leased })
	s.awaitRow(waits.ID, order.Charge, "one waits", func(r row) bool { return r.Answers == 1 && !r.Leased })
	c := s.explain(r, held.ID).GetCommands()
	if len(c) != 1 || c[0].GetLeaseEndTime() == nil || c[0].GetNextAttemptTime() != nil ||
		c[0].GetWhy() != relayv1.ParkedCommand_WHY_UNSPECIFIED {
		t.Errorf("held: got %v, want a lease, and nobody needed", c)
	}
	c = s.explain(r, waits.ID).GetCommands()
	if len(c) != 1 || c[0].GetLeaseEndTime() != nil ||
		!c[0].GetNextAttemptTime().AsTime().After(waits.CreatedAt.Add(time.Minute)) {
		t.Errorf("waits: got %v, want an attempt in a minute", c)
	}
	close(told)
	s.drained()
	if c = s.explain(r, held.ID).GetCommands(); len(c) != 0 {
		t.Errorf("settled: got %v, want no command", c)
	}
}

func TestExplainOrderTellsTheOperatorsDecision(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.parked(1)[0]
	r := s.relay()
	s.awaitRow(o.ID, order.Charge, "it is parked", func(r row) bool { return r.Parked })
	if got := s.explain(r, o.ID); got.GetDecision() != nil {
		t.Errorf("got %v, want no decision yet", got)
	}
	_, err := r.client().SettleParked(t.Context(), &relayv1.SettleParkedRequest{
		OrderId: o.ID, Reason: "the key is a test's", Operator: "ops",
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := s.explain(r, o.ID).GetDecision(); d.GetOperator() != "ops" || d.GetReason() != "the key is a test's" ||
		!d.GetCreateTime().IsValid() {
		t.Errorf("got decision %v, want who, why and when", d)
	}
}

// Who had a command tried again is told. A client of before says neither who nor why, and is served all the same.
func TestExplainOrderTellsWhoRetried(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.parked(1)[0]
	r := s.relay()
	s.awaitRow(o.ID, order.Charge, "it is parked", func(r row) bool { return r.Parked })
	request := &relayv1.RetryParkedRequest{
		OrderId: o.ID, Kind: relayv1.ParkedCommand_KIND_CHARGE, Operator: "ops", Reason: "paymentd is mended",
	}
	if _, err := r.client().RetryParked(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	s.retryParked(r, o.ID)
	charge := relayv1.ParkedCommand_KIND_CHARGE
	want := []*relayv1.OperatorRetry{
		{Kind: charge, Operator: "ops", Reason: "paymentd is mended"},
		{Kind: charge, Operator: "unknown", Reason: "none given"},
	}
	got := s.explain(r, o.ID).GetRetries()
	if diff := cmp.Diff(want, got, protocmp.Transform(), unforeseen); diff != "" {
		t.Errorf("retries (-want +got):\n%s", diff)
	}
	for _, r := range got {
		if !r.GetCreateTime().IsValid() {
			t.Errorf("got %v, want when", r)
		}
	}
	request.Operator, request.Reason = "o p s", "paid\nsettled by hand, by ada: paid"
	_, err := r.client().RetryParked(t.Context(), request)
	refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "operator", "reason")
}

// An order is given up, and its void is decided: the relay says how its status changed, when, why, and that it did so
// itself, in the trace of the request that placed the order.
func TestExplainOrderTellsEachChangeOfStatus(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.place()
	s.peer.script(o.ID, order.Charge, fails(codes.InvalidArgument, "INVALID_FIELDS", 0))
	s.exec(`
		UPDATE outbox
		SET traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
		WHERE key = $1`, o.ID)
	r := s.relay()
	s.drained()
	change := func(from, to relayv1.StatusChange_Status, cause string) *relayv1.StatusChange {
		return &relayv1.StatusChange{
			From: from, To: to, Cause: cause, Who: daemon.Instance(), TraceId: "4bf92f3577b34da6a3ce929d0e0e4736",
		}
	}
	want := []*relayv1.StatusChange{
		change(relayv1.StatusChange_STATUS_PENDING, relayv1.StatusChange_STATUS_CANCELLING, "charge refused"),
		change(relayv1.StatusChange_STATUS_CANCELLING, relayv1.StatusChange_STATUS_CANCELLED, "payment voided"),
	}
	got := s.explain(r, o.ID).GetChanges()
	if diff := cmp.Diff(want, got, protocmp.Transform(), unforeseen); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	before := o.CreatedAt
	for _, c := range got {
		if at := c.GetCreateTime().AsTime(); !at.After(before) {
			t.Errorf("got %v, want it after %s", c, before)
		}
		before = c.GetCreateTime().AsTime()
	}
}

func TestExplainOrderRefuses(t *testing.T) {
	t.Parallel()
	client := newSystem(t).relay().client()
	_, err := client.ExplainOrder(t.Context(), &relayv1.ExplainOrderRequest{OrderId: "7"})
	refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "order_id")
	_, err = client.ExplainOrder(t.Context(), &relayv1.ExplainOrderRequest{
		OrderId: "0190b6a4-7c5e-7d3a-8f00-0123456789ab",
	})
	refused(t, err, codes.NotFound, "ORDER_NOT_FOUND")
}
