package orderdb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
)

// money is what an honest reply tells of the payment of a newOrder.
var money = orderdb.Told{CustomerID: "alice", AmountMinor: 900, Currency: "JPY"}

// expected is what order.Apply says about an order and its commands after an event that is about its only command.
func expected(
	o order.Order, state order.State, m outbox.Message, event order.Event,
) (order.Order, []stored, orderdb.Settlement) {
	t, _ := order.Apply(state, event)
	before := o.Status
	o.Status = t.To.Status
	if t.Reason != "" {
		o.CancelReason = t.Reason
	}
	if before == order.Completed && t.Changes(state) {
		o.CompletedAt = o.UpdatedAt
	}
	code := "SAID"
	switch {
	case event == order.PaymentExpiredEarly && state.Status == order.Pending:
		code = order.ExpiredEarly
	case event.Fact() && t.Fate == order.RetrySlowly:
		code = order.NotRefunded
	}
	left := []stored{}
	switch t.Fate {
	case order.Keep:
		left = []stored{{Kind: m.Kind, Leased: true}}
	case order.Retry, order.RetrySlowly, order.Rebuild:
		left = []stored{{Kind: m.Kind, Attempts: 1, Answers: 1, LastCode: code, Rebuilt: t.Fate == order.Rebuild}}
	case order.Park:
		left = []stored{{Kind: m.Kind, Answers: 1, LastCode: code, Parked: true}}
	}
	if t.Void {
		left = append(left, stored{Kind: "VOID", Due: true, Rebuilt: true})
	}
	again := slices.Contains([]order.Fate{order.Retry, order.RetrySlowly, order.Rebuild}, t.Fate)
	done := orderdb.Settlement{More: t.Void || again}
	if t.Changes(state) || t.Alarm {
		done.Changes = []orderdb.Change{{
			OrderID: o.ID, From: before, To: o.Status, Reason: o.CancelReason, Event: event, Code: code, Alarm: t.Alarm,
			AmountMinor: o.AmountMinor, Currency: o.Currency,
		}}
	}
	if event == order.VoidUndecided && t.Fate == order.Retry {
		done.Vain = []orderdb.Vain{{Message: m, Code: "SAID", Failures: 1}}
	}
	return o, left, done
}

// Every event that can happen to an order in every state, on real rows: what is in the database afterwards is what
// order.Apply says, and applying the same finding again changes nothing more.
func TestSettleDoesWhatTheStateMachineSays(t *testing.T) {
	t.Parallel()
	for _, state := range order.States {
		t.Run(state.String(), func(t *testing.T) {
			t.Parallel()
			eachWay(t, func(t *testing.T, found finder) { settlesBy(t, state, found) })
		})
	}
}

func settlesBy(t *testing.T, state order.State, found finder) {
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for _, event := range order.Events {
		for _, kind := range subject(event) {
			transition, err := order.Apply(state, event)
			if err != nil || transition.Void && kind == order.Void && transition.Fate == order.Keep {
				continue // refused, tested below; or a second VOID, which the outbox refuses
			}
			if state == (order.State{Status: order.Cancelled}) && kind == order.Charge {
				continue // a CHARGE that is left shows that a person cancelled it
			}
			n := newOrder()
			if event == order.PaymentExpired { // otherwise it is PaymentExpiredEarly
				n.Deadline = -time.Second
			}
			o, m := standingIn(t, db, n, state, kind)
			wantOrder, wantLeft, wantDone := expected(o, state, m, event)
			at := fmt.Sprintf("%s on a %s", event, kind)

			done := apply(t, s, found(event, m))
			whatever := cmp.Options{
				cmpopts.IgnoreUnexported(outbox.Message{}), cmpopts.IgnoreFields(orderdb.Change{}, "Told"),
			}
			if diff := cmp.Diff(wantDone, done, whatever); diff != "" {
				t.Errorf("%s: settlement (-want +got):\n%s", at, diff)
			}
			got := get(t, s, o.ID)
			later, changed := got.UpdatedAt.After(o.UpdatedAt), transition.Changes(state)
			if later != changed {
				t.Errorf("%s: got a new updated_at %v, want %v", at, later, changed)
			}
			wantOrder.UpdatedAt = got.UpdatedAt
			if diff := cmp.Diff(wantOrder, got); diff != "" {
				t.Errorf("%s: order (-want +got):\n%s", at, diff)
			}
			left := inOutbox(t, db, o)
			if diff := cmp.Diff(wantLeft, left); diff != "" {
				t.Errorf("%s: commands (-want +got):\n%s", at, diff)
			}

			if event == order.CustomerCancels {
				continue // not a finding about a command: Store.Cancel is tested to repeat well
			}
			apply(t, s, found(event, m))
			if diff := cmp.Diff(got, get(t, s, o.ID)); diff != "" {
				t.Errorf("%s, applied again: order (-once +twice):\n%s", at, diff)
			}
			if diff := cmp.Diff(left, inOutbox(t, db, o)); diff != "" {
				t.Errorf("%s, applied again: commands (-once +twice):\n%s", at, diff)
			}
		}
	}
}

func TestSettleRefusesWhatTheStateMachineRefuses(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o, m := standingIn(t, db, newOrder(), order.State{Status: order.Completed}, order.Charge)
	_, err := s.Settle(t.Context(), []orderdb.Finding{found(order.OperatorSettles, m)})
	var illegal *order.IllegalError
	if !errors.As(err, &illegal) {
		t.Errorf("got error %v, want an *order.IllegalError", err)
	}
	if diff := cmp.Diff(o, get(t, s, o.ID)); diff != "" {
		t.Errorf("order (-before +after):\n%s", diff)
	}
}

func TestSettlingNothing(t *testing.T) {
	t.Parallel()
	s := orderdb.New(pgtest.Orders(t).Pool, command.Encode)
	if diff := cmp.Diff(orderdb.Settlement{}, apply(t, s)); diff != "" {
		t.Errorf("settlement (-want +got):\n%s", diff)
	}
}

// The customer has cancelled while the charge was under way. That the charge was made is old news then: its command
// goes, and the VOID decides.
func TestAChargeThatComesAfterTheCancelLeavesItToTheVoid(t *testing.T) {
	t.Parallel()
	eachWay(t, leavesItToTheVoid)
}

func leavesItToTheVoid(t *testing.T, found finder) {
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	charge := claimed(t, db, o.ID)
	if _, _, err := s.Cancel(t.Context(), o.ID, ""); err != nil {
		t.Fatal(err)
	}
	apply(t, s, found(order.PaymentCharged, charge))
	if got := get(t, s, o.ID).Status; got != order.Cancelling {
		t.Errorf("got %s, want %s", got, order.Cancelling)
	}
	if diff := cmp.Diff([]string{"VOID"}, commands(t, db.Pool, o.ID)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	apply(t, s, found(order.PaymentRefunded, claimed(t, db, o.ID)))
	if got := get(t, s, o.ID); got.Status != order.Cancelled || got.CancelReason != order.ReasonCustomer {
		t.Errorf("got %s because of %s, want %s because of %s",
			got.Status, got.CancelReason, order.Cancelled, order.ReasonCustomer)
	}
}

// An order that was decided once is not decided again, whatever a worker that woke up late still believes.
func TestALateFindingChangesNothingThatWasDecided(t *testing.T) {
	t.Parallel()
	eachWay(t, changesNothingThatWasDecided)
}

func changesNothingThatWasDecided(t *testing.T, found finder) {
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for _, event := range order.Events {
		if slices.Contains([]order.Event{order.CustomerCancels, order.OperatorSettles}, event) {
			continue // not from a worker
		}
		o := place(t, s, newOrder())
		charge := claimed(t, db, o.ID)
		apply(t, s, found(order.PaymentCharged, charge))
		apply(t, s, found(event, charge))
		if got := get(t, s, o.ID).Status; got != order.Completed {
			t.Errorf("%s: got %s, want %s", event, got, order.Completed)
		}
		if got := commands(t, db.Pool, o.ID); len(got) != 0 {
			t.Errorf("%s: got commands %v, want none", event, got)
		}
	}
}

// Two findings about one order in a batch: a customer's cancel came between two deliveries. One is applied, the other
// is to come again, and sees what the first has done.
func TestTwoFindingsAboutOneOrderAreAppliedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	eachWay(t, areAppliedOneAfterTheOther)
}

func areAppliedOneAfterTheOther(t *testing.T, found finder) {
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	charge := claimed(t, db, o.ID)
	other := place(t, s, newOrder())
	findings := []orderdb.Finding{
		found(order.ChargeSpent, charge), found(order.PaymentCharged, charge),
		found(order.PaymentCharged, claimed(t, db, other.ID)),
	}
	if diff := cmp.Diff([]int{1}, apply(t, s, findings...).Later); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	apply(t, s, findings[1])
	if got, want := get(t, s, o.ID).Status, order.Cancelling; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"VOID"}, commands(t, db.Pool, o.ID)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// A person in psql has locked an order. The findings about the others are applied at once, and the one is answered as
// one to come again; nobody waits.
func TestAnOrderThatSomebodyElseHasLockedHoldsUpNobody(t *testing.T) {
	t.Parallel()
	eachWay(t, holdsUpNobody)
}

func holdsUpNobody(t *testing.T, found finder) {
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	var orders []order.Order
	var findings []orderdb.Finding
	for range 5 {
		orders = append(orders, place(t, s, newOrder()))
		findings = append(findings, found(order.PaymentCharged, claimed(t, db, orders[len(orders)-1].ID)))
	}
	err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT FROM orders WHERE id = $1 FOR UPDATE`, orders[2].ID); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), longWait)
		defer cancel()
		done, err := s.Settle(ctx, findings)
		if diff := cmp.Diff([]int{2}, done.Later); diff != "" {
			t.Errorf("later (-want +got):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range orders {
		want := order.Completed
		if i == 2 {
			want = order.Pending
		}
		if got := get(t, s, o.ID).Status; got != want {
			t.Errorf("order %d: got %s, want %s", i, got, want)
		}
	}
	if got := apply(t, s, findings[2]); len(got.Later) != 0 || get(t, s, orders[2].ID).Status != order.Completed {
		t.Errorf("got %+v once the lock was gone, want the order COMPLETED", got)
	}
}

// A finding about an order that does not exist cannot be applied, ever: the caller gives it up after its lease.
func TestAFindingAboutNoOrderIsLeftForLater(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	id := uuid.NewString()
	add(t, db, id, order.Void)
	if diff := cmp.Diff([]int{0}, apply(t, s, found(order.PaymentVoided, claimed(t, db, id))).Later); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
}
