package orderdb_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
)

const (
	traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
)

// decided is a finding of a delivery that was decided.
func decided(event order.Event, m outbox.Message) orderdb.Finding {
	f := found(event, m)
	f.Retry.Code, f.Delivery.Result = "OK", outbox.Decided
	return f
}

func explained(t testing.TB, s *orderdb.Store, id string) orderdb.Explanation {
	t.Helper()
	e, err := s.Explain(t.Context(), id, 100)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func wait(d time.Duration) *time.Duration { return &d }

func text(s string) *string { return &s }

// exceptTimes leaves out what the database's clock says, and how the order's status changed.
var exceptTimes = cmp.Options{
	cmpopts.IgnoreFields(orderdb.Attempt{}, "At", "Total"), cmpopts.IgnoreFields(orderdb.Explanation{}, "Changes"),
}

func TestAFirstDeliveryThatIsDecidedIsImplied(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for _, event := range []order.Event{order.PaymentCharged, order.PaymentDeclined, order.PaymentVoided} {
		o := place(t, s, newOrder())
		apply(t, s, decided(event, claimed(t, db, o.ID)))
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM attempts`); got != 0 {
		t.Errorf("got %d attempts, want none", got)
	}
}

// What costs the most orders the least: an order that goes well sends no statement about attempts.
func TestAnImpliedAttemptCostsNoStatement(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s, seen := traced(t, db)
	statements := func(f func(order.Event, outbox.Message) orderdb.Finding) int64 {
		o := place(t, s, newOrder())
		m := claimed(t, db, o.ID)
		before := seen.count.Load()
		apply(t, s, f(order.PaymentCharged, m))
		return seen.count.Load() - before
	}
	if got, most := statements(decided), statements(found)-1; got != 1 || got > most {
		t.Errorf("got %d statements, want one, and less than for an attempt that is recorded: %d at most", got, most)
	}
}

// A charge fails twice in different ways and is then given up, and its void fails once: every attempt is there, in the
// trace of the request that placed the order.
func TestEveryOtherAttemptIsRecorded(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	n := newOrder()
	n.Traceparent = traceparent
	o := place(t, s, n)

	undecided := found(order.ChargeUndecided, claimed(t, db, o.ID))
	undecided.Retry.Code, undecided.Retry.Delay = "INTERNAL", 96*time.Millisecond
	apply(t, s, undecided)
	late := found(order.ChargeLate, reclaimed(t, db, o.ID))
	late.Retry.Code = "EXPIRED"
	late.Delivery = orderdb.Delivery{Relay: "relay:2", Result: outbox.Expired}
	apply(t, s, late)
	blocked := found(order.VoidUndecided, claimed(t, db, o.ID))
	blocked.Delivery.Result, blocked.Delivery.RPC = outbox.Blocked, "VoidPayment"
	apply(t, s, blocked)
	apply(t, s, decided(order.PaymentVoided, reclaimed(t, db, o.ID)))

	want := orderdb.Explanation{Attempts: []orderdb.Attempt{
		{
			Kind: order.Charge, Claim: 1, Relay: "relay:1", RPC: text("ProcessPayments"),
			Code: "INTERNAL", Means: "AMBIGUOUS",
			Latency: time.Millisecond, TraceID: text(traceID), RetryIn: wait(96 * time.Millisecond),
		},
		{Kind: order.Charge, Claim: 2, Relay: "relay:2", Code: "EXPIRED", Means: "EXPIRED", TraceID: text(traceID)},
		{
			Kind: order.Void, Claim: 1, Relay: "relay:1", RPC: text("VoidPayment"), Code: "SAID", Means: "BLOCKED",
			Latency: time.Millisecond, TraceID: text(traceID), RetryIn: wait(time.Hour),
		},
		{
			Kind: order.Void, Claim: 2, Relay: "relay:1", RPC: text("ProcessPayments"), Code: "OK", Means: "DECIDED",
			Latency: time.Millisecond, TraceID: text(traceID),
		},
	}, Waiting: []orderdb.Waiting{}, Retries: []orderdb.HandRetry{}}
	got := explained(t, s, o.ID)
	if diff := cmp.Diff(want, got, exceptTimes); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
	for i, a := range got.Attempts {
		if a.At.Before(o.CreatedAt) || i > 0 && a.At.Before(got.Attempts[i-1].At) {
			t.Errorf("attempt %d: got %v, want a time after the one before", i, a.At)
		}
	}
}

// Every result of the engine, but the one that it resolves itself, has its word in the table.
func TestEveryResultIsRecorded(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for result := outbox.Decided; result <= outbox.Unreadable; result++ {
		if result == outbox.TimedOut {
			continue
		}
		o := place(t, s, newOrder())
		f := found(order.ChargeUndecided, claimed(t, db, o.ID))
		if f.Delivery.Result = result; result == outbox.Decided {
			f.Retry.Message.Claims = 2
		}
		apply(t, s, f)
		if got := len(explained(t, s, o.ID).Attempts); got != 1 {
			t.Errorf("%s: got %d attempts, want 1", result, got)
		}
	}
}

// A worker that did not hear of its commit settles again, and one whose lease went to another settles late. Neither
// makes a second row, and neither breaks the settling of the others in its batch.
func TestAnAttemptIsRecordedOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o, other := place(t, s, newOrder()), place(t, s, newOrder())
	stale := found(order.ChargeUndecided, claimed(t, db, o.ID))
	apply(t, s, stale)
	apply(t, s, found(order.ChargeUndecided, reclaimed(t, db, o.ID)))
	apply(t, s, stale, found(order.ChargeSpent, reclaimed(t, db, other.ID)))
	var claims []int
	for _, a := range explained(t, s, o.ID).Attempts {
		claims = append(claims, a.Claim)
	}
	if diff := cmp.Diff([]int{1, 2}, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if got := get(t, s, other.ID).Status; got != order.Cancelling {
		t.Errorf("the other order: got %s, want %s", got, order.Cancelling)
	}
}

// A sweep finds a command at its deadline without claiming it: the attempt of the last claim stays beside that.
func TestGivingUpWithoutAClaimIsAnAttemptOfItsOwn(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	m := claimed(t, db, o.ID)
	apply(t, s, found(order.ChargeUndecided, m))
	late := found(order.ChargeLate, m)
	late.Retry.Code, late.Delivery.Result = "EXPIRED", outbox.Expired
	apply(t, s, late)
	if got := len(explained(t, s, o.ID).Attempts); got != 2 {
		t.Errorf("got %d attempts, want 2", got)
	}
}

// The command was put back by a repair: its claims are counted from 1 again, and are other attempts.
func TestAttemptsOfACommandThatWasPutBackAreOthers(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o, m := standingIn(t, db, newOrder(), order.State{Status: order.Pending}, order.Charge)
	apply(t, s, found(order.ChargeUndecided, m))
	if _, err := db.Pool.Exec(t.Context(), `DELETE FROM outbox WHERE key = $1`, o.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Redrive(t.Context(), o.ID); err != nil {
		t.Fatal(err)
	}
	apply(t, s, found(order.ChargeUndecided, claimed(t, db, o.ID)))
	if got := len(explained(t, s, o.ID).Attempts); got != 2 {
		t.Errorf("got %d attempts, want 2", got)
	}
}

func TestTheVoidIsInTheTraceOfTheCancel(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for given, want := range map[string]string{traceparent: traceparent, "": "none"} {
		o := place(t, s, newOrder())
		if _, _, err := s.Cancel(t.Context(), o.ID, given); err != nil {
			t.Fatal(err)
		}
		var got string
		err := db.Pool.QueryRow(t.Context(), `
			SELECT coalesce(traceparent, 'none')
			FROM outbox
			WHERE key = $1 AND kind = 'VOID'`, o.ID).Scan(&got)
		if err != nil || got != want {
			t.Errorf("traceparent %q: got %q (%v), want %q", given, got, err, want)
		}
	}
}

func TestExplainAnswersTheLatestAttempts(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	m := claimed(t, db, o.ID)
	for m.Claims = 1; m.Claims <= 5; m.Claims++ {
		apply(t, s, found(order.ChargeUndecided, m))
	}
	got, err := s.Explain(t.Context(), o.ID, 2)
	if err != nil {
		t.Fatal(err)
	}
	claims := fmt.Sprint(got.Attempts[0].Claim, got.Attempts[1].Claim)
	if len(got.Attempts) != 2 || claims != "4 5" || got.Earlier != 3 {
		t.Errorf("got claims %s of %d and %d earlier ones, want 4 5 and 3", claims, len(got.Attempts), got.Earlier)
	}
}

func TestExplainAnswersWhatWaitsAndWhatWasDecided(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	claimed(t, db, o.ID)
	e := explained(t, s, o.ID)
	if len(e.Waiting) != 1 || !e.Waiting[0].Leased || e.Waiting[0].Claims != 1 ||
		*e.Waiting[0].Status != order.Pending || e.Decision != nil {
		t.Errorf("got %+v, want the CHARGE alone, and leased", e)
	}
	said(t, db, o.ID, "KEY_REUSED", false)
	if _, _, err := s.SettleByHand(t.Context(), decision(o.ID)); err != nil {
		t.Fatal(err)
	}
	e = explained(t, s, o.ID)
	want := &orderdb.HandDecision{Operator: decision(o.ID).Operator, Reason: decision(o.ID).Reason}
	diff := cmp.Diff(want, e.Decision, cmpopts.IgnoreFields(orderdb.HandDecision{}, "At"))
	if diff != "" || len(e.Waiting) != 0 {
		t.Errorf("got %d waiting, and decision (-want +got):\n%s", len(e.Waiting), diff)
	}
}

func TestAnUnknownOrderCannotBeExplained(t *testing.T) {
	t.Parallel()
	s := orderdb.New(pgtest.Orders(t).Pool, command.Encode)
	if _, err := s.Explain(t.Context(), uuid.NewString(), 1); !errors.Is(err, orderdb.ErrNotFound) {
		t.Errorf("got error %v, want ErrNotFound", err)
	}
}
