package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/daemon"
	"hosho/internal/order"
	"hosho/internal/page"
)

func (s *system) retryParked(r *running, id string) {
	s.t.Helper()
	_, err := r.client().RetryParked(s.t.Context(), &relayv1.RetryParkedRequest{
		OrderId: id, Kind: relayv1.ParkedCommand_KIND_CHARGE,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// refused checks an error: its code, and its one ErrorInfo.
func refused(t testing.TB, err error, code codes.Code, reason string, fields ...string) {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code {
		t.Errorf("got %v, want %s", err, code)
	}
	var reasons, violated []string
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			reasons = append(reasons, d.GetDomain()+"/"+d.GetReason())
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				violated = append(violated, v.GetField())
			}
		}
	}
	if got, want := fmt.Sprint(reasons), "[hosho/"+reason+"]"; got != want {
		t.Errorf("got ErrorInfo %s, want exactly %s", got, want)
	}
	if got, want := fmt.Sprint(violated), fmt.Sprint(fields); got != want {
		t.Errorf("got violations of %s, want %s", got, want)
	}
}

// parked makes n orders whose charges are parked, and one whose void keeps being refused, which comes last.
func (s *system) parked(n int) []order.Order {
	s.t.Helper()
	orders := make([]order.Order, 0, n+1)
	for range n {
		o := s.place()
		s.peer.always(o.ID, order.Charge, fails(codes.AlreadyExists, "KEY_REUSED", 0))
		orders = append(orders, o)
	}
	o := s.cancelling()
	s.peer.always(o.ID, order.Void, fails(codes.AlreadyExists, "KEY_REUSED", 0))
	return append(orders, o)
}

func (s *system) awaitParked(orders []order.Order) {
	s.t.Helper()
	eventually(s.t, "all keys are known to be reused", func() bool {
		return s.count(`SELECT count(*) FROM outbox WHERE last_code = 'KEY_REUSED'`) == len(orders)
	})
}

func TestListParkedPages(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.place() // settles, and is not listed
	orders := s.parked(4)
	client := s.relay().client()
	s.awaitParked(orders)
	var got []*relayv1.ParkedCommand
	request := &relayv1.ListParkedRequest{PageSize: 2}
	for pages := 1; ; pages++ {
		reply, err := client.ListParked(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, reply.GetCommands()...)
		if request.PageToken = reply.GetNextPageToken(); request.PageToken == "" {
			if pages != 3 {
				t.Errorf("got %d pages, want 3", pages)
			}
			break
		}
		if len(reply.GetCommands()) != 2 {
			t.Errorf("got a page of %d, want 2", len(reply.GetCommands()))
		}
	}
	if len(got) != len(orders) {
		t.Fatalf("got %d commands, want %d", len(got), len(orders))
	}
	for i, o := range orders {
		charge := i < len(orders)-1
		c := got[i]
		if c.GetCause() != c.GetLastCode() { // clients of earlier releases read it
			t.Errorf("command %d: got the cause %q, want the last_code %q", i, c.GetCause(), c.GetLastCode())
		}
		if c.GetOrderId() != o.ID || c.GetLastCode() != "KEY_REUSED" || c.GetAttempts() != 0 ||
			c.GetCreateTime() == nil {
			t.Errorf("command %d: got %v, want the one of order %s", i, c, o.ID)
		}
		if got, want := c.GetKind() == relayv1.ParkedCommand_KIND_CHARGE, charge; got != want {
			t.Errorf("command %d: got kind %s, want a charge: %v", i, c.GetKind(), want)
		}
		if charge && !c.GetDeadlineTime().AsTime().Equal(o.DeadlineAt) {
			t.Errorf("command %d: got deadline %v, want %v", i, c.GetDeadlineTime(), o.DeadlineAt)
		}
		if got := c.GetParkTime() != nil; got != charge {
			t.Errorf("command %d: got park_time %v, want one: %v", i, c.GetParkTime(), charge)
		}
		want := relayv1.ParkedCommand_WHY_CONFLICT
		if charge {
			want = relayv1.ParkedCommand_WHY_PARKED
		}
		next := c.GetNextAttemptTime() != nil || c.GetLeaseEndTime() != nil
		if c.GetWhy() != want || next == charge || c.GetClaims() < 1 {
			t.Errorf("command %d: got %v, want %s, a claim, and a next attempt: %v", i, c, want, !charge)
		}
	}
	whole, err := client.ListParked(t.Context(), &relayv1.ListParkedRequest{PageSize: 1_000_000})
	if err != nil || len(whole.GetCommands()) != len(orders) || whole.GetNextPageToken() != "" {
		t.Errorf("got %d commands and token %q (%v), want all %d on one page",
			len(whole.GetCommands()), whole.GetNextPageToken(), err, len(orders))
	}
}

func TestListParkedRefuses(t *testing.T) {
	t.Parallel()
	client := newSystem(t).relay().client()
	for _, token := range []string{
		"x", "!", page.Token(page.AtNumber(7), "orders"), page.Token(page.AtNumber(7), "parked") + "=",
	} {
		_, err := client.ListParked(t.Context(), &relayv1.ListParkedRequest{PageToken: token})
		refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "page_token")
	}
	_, err := client.ListParked(t.Context(), &relayv1.ListParkedRequest{PageSize: -1})
	refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "page_size")
}

// What is under way is listed, of each kind and of both, with its order. What is settled is not.
func TestListCommandsPages(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	settled := s.place()
	orders := s.parked(3)
	client := s.relay().client()
	s.awaitParked(orders)
	s.await(settled.ID, order.Completed)
	s.unguarded(`DELETE FROM orders WHERE id = $1`, orders[1].ID)
	for kind, want := range map[relayv1.ParkedCommand_Kind][]order.Order{
		relayv1.ParkedCommand_KIND_UNSPECIFIED: orders,
		relayv1.ParkedCommand_KIND_CHARGE:      orders[:3],
		relayv1.ParkedCommand_KIND_VOID:        orders[3:],
	} {
		var got []*relayv1.Command
		for request := (&relayv1.ListCommandsRequest{PageSize: 2, Kind: kind}); ; {
			reply, err := client.ListCommands(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, reply.GetCommands()...)
			if request.PageToken = reply.GetNextPageToken(); request.PageToken == "" {
				break
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%v: got %v, want %d commands", kind, got, len(want))
		}
		for i, c := range got {
			wantListed(t, c, want[i], want[i].ID == orders[1].ID)
		}
	}
}

// wantListed wants a command that needs a person, and its order, where that is not missing.
func wantListed(t *testing.T, c *relayv1.Command, o order.Order, missing bool) {
	t.Helper()
	amount, state := money(o), relayv1.StatusChange_STATUS_PENDING
	switch {
	case missing:
		amount, state = nil, relayv1.StatusChange_STATUS_UNSPECIFIED
	case c.GetCommand().GetKind() == relayv1.ParkedCommand_KIND_VOID:
		state = relayv1.StatusChange_STATUS_CANCELLING
	}
	if p := c.GetCommand(); p.GetOrderId() != o.ID || p.GetLastCode() != "KEY_REUSED" ||
		p.GetWhy() == relayv1.ParkedCommand_WHY_UNSPECIFIED || c.GetAlone() {
		t.Errorf("got %v, want the command of %s, which needs a person", c, o.ID)
	}
	if !proto.Equal(c.GetAmount(), amount) || c.GetOrderStatus() != state {
		t.Errorf("got %v, want %v and %v", c, state, amount)
	}
}

// A token continues the list of the kind that it was made for.
func TestListCommandsRefuses(t *testing.T) {
	t.Parallel()
	client := newSystem(t).relay().client()
	for _, token := range []string{
		"x", page.Token(page.AtNumber(7), "parked"), page.Token(page.AtNumber(7), "commands", "CHARGE"),
	} {
		_, err := client.ListCommands(t.Context(), &relayv1.ListCommandsRequest{
			PageToken: token, Kind: relayv1.ParkedCommand_KIND_VOID,
		})
		refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "page_token")
	}
	_, err := client.ListCommands(t.Context(), &relayv1.ListCommandsRequest{PageSize: -1, Kind: 7})
	refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "page_size", "kind")
}

func TestRetryParked(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.parked(1)
	client := s.relay().client()
	s.awaitParked(orders)
	charge := &relayv1.RetryParkedRequest{OrderId: orders[0].ID, Kind: relayv1.ParkedCommand_KIND_CHARGE}
	void := &relayv1.RetryParkedRequest{OrderId: orders[1].ID, Kind: relayv1.ParkedCommand_KIND_VOID}

	// The ordinary rules apply: what is refused again is parked again.
	before := len(s.peer.arrived(orders[0].ID, order.Charge))
	if _, err := client.RetryParked(t.Context(), charge); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the charge is tried again", func() bool {
		return len(s.peer.arrived(orders[0].ID, order.Charge)) > before
	})
	s.awaitRow(orders[0].ID, order.Charge, "and parked again", func(r row) bool {
		return r.Parked && r.Answers > before
	})

	s.peer.always(orders[0].ID, order.Charge, nil)
	s.peer.always(orders[1].ID, order.Void, nil)
	for _, request := range []*relayv1.RetryParkedRequest{charge, void} {
		// the void keeps trying by itself
		if _, err := client.RetryParked(t.Context(), request); err != nil && status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
	}
	s.drained()
	s.await(orders[0].ID, order.Completed)
	s.await(orders[1].ID, order.Cancelled)

	_, err := client.RetryParked(t.Context(), charge)
	refused(t, err, codes.NotFound, "COMMAND_NOT_FOUND")
	_, err = client.RetryParked(t.Context(), &relayv1.RetryParkedRequest{OrderId: "7"})
	refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "order_id", "kind")
	_, err = client.RetryParked(t.Context(), &relayv1.RetryParkedRequest{OrderId: orders[0].ID, Kind: 3})
	refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "kind")
}

func TestSettleParked(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	orders := s.parked(1)
	settled, pending := s.place(), s.place()
	s.peer.always(pending.ID, order.Charge, fails(codes.Unavailable, "", 0))
	// A mere error may call itself a reused key: that is not paymentd's word.
	liar := s.place()
	s.peer.always(liar.ID, order.Charge, fails(codes.Unavailable, "KEY_REUSED", 0))
	client := s.relay().client()
	s.awaitParked(orders)
	s.await(settled.ID, order.Completed)
	s.awaitRow(liar.ID, order.Charge, "the false conflict is answered", func(r row) bool { return r.Answers > 0 })

	settle := func(id string) error {
		_, err := client.SettleParked(t.Context(), &relayv1.SettleParkedRequest{
			OrderId: id, Reason: "the key is a test's", Operator: "ops@example.com",
		})
		return err
	}
	for i, o := range orders {
		// The reason stands since an order was given up.
		want := []order.CancelReason{order.ReasonOperator, order.ReasonCustomer}[i]
		for range 2 { // a repeat is fine
			// a void is KEY_REUSED until the next try says so again
			eventually(t, "the order is settled by hand", func() bool {
				return settle(o.ID) == nil
			})
			if got := s.get(o.ID); got.Status != order.Cancelled || got.CancelReason != want {
				t.Errorf("got %s (%s), want CANCELLED (%s)", got.Status, got.CancelReason, want)
			}
		}
		if got := s.count(`SELECT count(*) FROM outbox WHERE key = $1`, o.ID); got != 0 {
			t.Errorf("got %d commands left, want none", got)
		}
		if got := s.count(`
			SELECT count(*)
			FROM audit
			WHERE order_id = $1 AND action = 'SETTLE' AND operator = 'ops@example.com'
			AND reason = 'the key is a test''s'`, o.ID); got != 1 {
			t.Errorf("got %d rows in the audit table, want 1", got)
		}
	}
	for _, o := range []order.Order{settled, pending, liar} {
		refused(t, settle(o.ID), codes.FailedPrecondition, "NOT_PARKED")
	}
	refused(t, settle("0190b6a4-7c5e-7d3a-8f00-0123456789ab"), codes.NotFound, "ORDER_NOT_FOUND")
	if got := s.count(`SELECT count(*) FROM audit`); got != len(orders) {
		t.Errorf("got %d rows in the audit table, want %d", got, len(orders))
	}
}

func TestSettleParkedRefuses(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	o := s.place()
	client := s.relay().client()
	valid := func() *relayv1.SettleParkedRequest {
		return &relayv1.SettleParkedRequest{OrderId: o.ID, Reason: strings.Repeat("保", 500), Operator: "ops"}
	}
	for field, spoil := range map[string]func(*relayv1.SettleParkedRequest){
		"order_id": func(r *relayv1.SettleParkedRequest) { r.OrderId = "" },
		"reason":   func(r *relayv1.SettleParkedRequest) { r.Reason = "" },
		"operator": func(r *relayv1.SettleParkedRequest) { r.Operator = "o p s" },
	} {
		r := valid()
		spoil(r)
		_, err := client.SettleParked(t.Context(), r)
		refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", field)
	}
	for _, reason := range []string{
		strings.Repeat("保", 501), "NUL\x00", "paid\nsettled by hand, by ada: paid", "\x1b[2J", "99\u202e", "\u200b",
	} {
		r := valid()
		r.Reason = reason
		_, err := client.SettleParked(t.Context(), r)
		refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "reason")
	}
	s.await(o.ID, order.Completed)
	_, err := client.SettleParked(t.Context(), valid())
	refused(t, err, codes.FailedPrecondition, "NOT_PARKED")
}

func TestGetBacklog(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	parked, held, waiting := s.place(), s.place(), s.place()
	told := make(chan struct{})
	s.peer.script(parked.ID, order.Charge, fails(codes.AlreadyExists, "KEY_REUSED", 0))
	s.peer.script(held.ID, order.Charge, holds(told))
	s.peer.script(waiting.ID, order.Charge, fails(codes.ResourceExhausted, "", time.Minute))
	client := s.relay().client()
	s.awaitRow(parked.ID, order.Charge, "one is parked", func(r row) bool { return r.Parked })
	s.awaitRow(held.ID, order.Charge, "one is held", func(r row) bool { return r.Leased })
	s.awaitRow(waiting.ID, order.Charge, "one waits", func(r row) bool { return r.Answers == 1 && !r.Leased })
	got, err := client.GetBacklog(t.Context(), &relayv1.GetBacklogRequest{})
	if err != nil || got.GetDue() != 0 || got.GetWaiting() != 2 || got.GetParked() != 1 ||
		got.GetOldestAge().AsDuration() <= 0 {
		t.Errorf("got %v (%v), want two waiting, one parked, and an age", got, err)
	}
	close(told)
	s.expire(parked.ID)
	s.drained()
	got, err = client.GetBacklog(t.Context(), &relayv1.GetBacklogRequest{})
	if err != nil || got.GetDue() != 0 || got.GetWaiting() != 0 || got.GetParked() != 0 || got.GetOldestAge() != nil {
		t.Errorf("got %v (%v), want nothing", got, err)
	}
}

// paymentd refuses every charge and answers no void. The relay says of the charges alone that it cannot deliver them.
func TestTheBacklogIsToldByKind(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	told := make(chan struct{})
	defer close(told)
	for range 3 {
		s.peer.always(s.place().ID, order.Charge, fails(codes.Unavailable, "", 0))
	}
	void := s.cancelling()
	s.peer.script(void.ID, order.Void, holds(told))
	r := s.relay(func(p *pace) {
		p.BreakerStreak, p.BackoffBase, p.BackoffCap, p.VoidBackoffCap = 3, time.Hour, time.Hour, time.Hour
	})
	eventually(t, "the breaker is open", func() bool { return len(s.log.lines(destinationDown)) == 1 })
	s.awaitRow(void.ID, order.Void, "the void is held", func(r row) bool { return r.Leased })
	got, err := r.client().GetBacklog(t.Context(), &relayv1.GetBacklogRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range got.GetKinds() {
		if k.GetOldestAge().AsDuration() <= 0 {
			t.Errorf("%s: got age %v, want one", k.GetKind(), k.GetOldestAge().AsDuration())
		}
		if open := k.GetBreakerOpenTime() != nil; open != k.GetBreakerOpen() {
			t.Errorf("got %v, want a time just where a breaker is open", k)
		}
		k.OldestAge, k.BreakerOpenTime = nil, nil
	}
	want := []*relayv1.KindBacklog{
		{Kind: relayv1.ParkedCommand_KIND_CHARGE, Waiting: 3, BreakerOpen: true, LastCode: "UNAVAILABLE"},
		{Kind: relayv1.ParkedCommand_KIND_VOID, Waiting: 1},
	}
	if diff := cmp.Diff(want, got.GetKinds(), protocmp.Transform()); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if got.GetRelay() != daemon.Instance() || got.GetWaiting() != 4 {
		t.Errorf("got %v, want four that wait, told by %s", got, daemon.Instance())
	}
}

// A relay without its schema, or without its database, says so and stays out of the way.
func TestErrorsOfTheDatabase(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.relay()
	client := r.client()
	s.exec(`ALTER TABLE outbox RENAME COLUMN parked_at TO moved`)
	_, err := client.GetBacklog(t.Context(), &relayv1.GetBacklogRequest{})
	refused(t, err, codes.Unavailable, "DATABASE_MISCONFIGURED")
	if strings.Contains(err.Error(), "parked_at") {
		t.Errorf("got %v, want no detail of the database", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.GetBacklog(ctx, &relayv1.GetBacklogRequest{}); status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want CANCELLED", err)
	}
}
