package orderdb_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

func decision(id string) orderdb.Decision {
	return orderdb.Decision{
		OrderID: id, Operator: "ops@example.com", Reason: "the key is another shop's",
		Codes: []string{"KEY_REUSED", "ECHO_MISMATCH"},
	}
}

// said notes what the last delivery of an order's commands came to.
func said(t testing.TB, db *pgtest.Database, id, code string, parked bool) {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), `
		UPDATE outbox
		SET last_code = $2, parked_at = CASE WHEN $3 THEN clock_timestamp() END
		WHERE key = $1`, id, code, parked)
	if err != nil {
		t.Fatal(err)
	}
}

// audits counts the decisions about an order that say who and why.
func audits(t testing.TB, db *pgtest.Database, id string) int {
	t.Helper()
	d := decision(id)
	return count(t, db.Pool, `
		SELECT count(*)
		FROM audit
		WHERE order_id = $1 AND action = 'SETTLE' AND operator = $2 AND reason = $3`,
		d.OrderID, d.Operator, d.Reason)
}

func TestSettleByHand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status order.Status
		code   string
		parked bool
		reason order.CancelReason
		want   error
	}{
		{"PENDING, its CHARGE parked", order.Pending, "KEY_REUSED", true, order.ReasonOperator, nil},
		{"CANCELLING, its VOID in conflict", order.Cancelling, "KEY_REUSED", false, order.ReasonCustomer, nil},
		{"CANCELLING, the other code", order.Cancelling, "ECHO_MISMATCH", false, order.ReasonCustomer, nil},
		{"PENDING, on its way", order.Pending, "", false, "", orderdb.ErrNotParked},
		{"PENDING, parked for another cause", order.Pending, "BUSY", true, "", orderdb.ErrNotParked},
		{"CANCELLING, on its way", order.Cancelling, "UNAVAILABLE", false, "", orderdb.ErrNotParked},
		{"COMPLETED", order.Completed, "", false, "", orderdb.ErrNotParked},
		{"CANCELLED, but not by hand", order.Cancelled, "", false, "", orderdb.ErrNotParked},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			s := orderdb.New(db.Pool, command.Encode)
			before := placed(t, db, test.status)
			if test.code != "" {
				said(t, db, before.ID, test.code, test.parked)
			}
			kept := commands(t, db.Pool, before.ID)
			got, changed, err := s.SettleByHand(t.Context(), decision(before.ID))
			if !errors.Is(err, test.want) || changed != (test.want == nil) {
				t.Fatalf("got changed %v, error %v, want %v", changed, err, test.want)
			}
			after := get(t, s, before.ID)
			if test.want != nil {
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("order (-before +after):\n%s", diff)
				}
				if diff := cmp.Diff(kept, commands(t, db.Pool, before.ID)); diff != "" {
					t.Errorf("commands (-before +after):\n%s", diff)
				}
				if n := audits(t, db, before.ID); n != 0 {
					t.Errorf("got %d audit rows, want none", n)
				}
				return
			}
			if diff := cmp.Diff(after, got); diff != "" {
				t.Errorf("order (-stored +answered):\n%s", diff)
			}
			if after.Status != order.Cancelled || after.CancelReason != test.reason ||
				!after.UpdatedAt.After(before.UpdatedAt) {
				t.Errorf("got %s because of %s at %s, want %s because of %s, and later than %s",
					after.Status, after.CancelReason, after.UpdatedAt, order.Cancelled, test.reason, before.UpdatedAt)
			}
			if left := commands(t, db.Pool, before.ID); len(left) != 0 {
				t.Errorf("got commands %v, want none", left)
			}

			again, changed, err := s.SettleByHand(t.Context(), decision(before.ID))
			if err != nil || changed {
				t.Errorf("again: got changed %v, error %v, want neither", changed, err)
			}
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("order (-first +again):\n%s", diff)
			}
			if n := audits(t, db, before.ID); n != 1 {
				t.Errorf("got %d audit rows, want 1", n)
			}
		})
	}
}

func TestAnUnknownOrderCannotBeSettledByHand(t *testing.T) {
	t.Parallel()
	s := orderdb.New(pgtest.Orders(t).Pool, command.Encode)
	if _, _, err := s.SettleByHand(t.Context(), decision(uuid.NewString())); !errors.Is(err, orderdb.ErrNotFound) {
		t.Errorf("got error %v, want ErrNotFound", err)
	}
}

// The constraint audit_reason_given refuses the row that says why; the order stays as it is.
func TestNothingIsSettledByHandWithoutItsAuditRow(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Pending)
	said(t, db, o.ID, "KEY_REUSED", true)
	d := decision(o.ID)
	d.Reason = ""
	if _, _, err := s.SettleByHand(t.Context(), d); err == nil {
		t.Error("got no error, want audit_reason_given")
	}
	if diff := cmp.Diff(o, get(t, s, o.ID)); diff != "" {
		t.Errorf("order (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"CHARGE"}, commands(t, db.Pool, o.ID)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// Who has a command tried again, and why, is written down each time, in the transaction that makes it due. It is no
// decision about the order: that may be settled by hand later, and is not exempt from anything meanwhile.
func TestARetryIsWrittenDown(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Pending)
	said(t, db, o.ID, "KEY_REUSED", true)
	parked := func() int {
		return count(t, db.Pool, `SELECT count(*) FROM outbox WHERE key = $1 AND parked_at IS NOT NULL`, o.ID)
	}
	r := orderdb.Retry{OrderID: o.ID, Kind: order.Charge, Operator: "ops@example.com"}
	if found, err := s.Retry(t.Context(), r); err == nil || found || parked() != 1 {
		t.Errorf("without a reason: got found %v, error %v; want audit_reason_given, and it is parked", found, err)
	}
	for _, r.Reason = range []string{"the card network is back", "and again"} {
		if found, err := s.Retry(t.Context(), r); err != nil || !found || parked() != 0 {
			t.Errorf("%s: got found %v, error %v, parked %d; want it due", r.Reason, found, err, parked())
		}
	}
	r.Kind = order.Void
	if found, err := s.Retry(t.Context(), r); err != nil || found {
		t.Errorf("a command that is not there: got found %v, error %v", found, err)
	}
	e := explained(t, s, o.ID)
	want := []orderdb.HandRetry{
		{Kind: order.Charge, Operator: r.Operator, Reason: "the card network is back"},
		{Kind: order.Charge, Operator: r.Operator, Reason: "and again"},
	}
	if diff := cmp.Diff(want, e.Retries, cmpopts.IgnoreFields(orderdb.HandRetry{}, "At")); diff != "" {
		t.Errorf("retries (-want +got):\n%s", diff)
	}
	if e.Decision != nil || audits(t, db, o.ID) != 0 {
		t.Errorf("got %+v, want no decision about the order", e.Decision)
	}
	said(t, db, o.ID, "KEY_REUSED", true)
	if _, changed, err := s.SettleByHand(t.Context(), decision(o.ID)); err != nil || !changed {
		t.Errorf("settled after it was retried: got changed %v, error %v", changed, err)
	}
}

// Who has a certificate is written down as that names him. What only looks like an identity is none.
func TestAnOperatorMayBeAnIdentity(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Pending)
	longest := "spiffe://example.org/" + strings.Repeat("a", 2048-len("spiffe://example.org/"))
	for operator, right := range map[string]bool{
		"spiffe://example.org/people/ada": true, longest: true, longest + "a": false, "spiffe://example.org": false,
		"spiffe://example.org//ada": false, "spiffe://Example.org/ada": false, "spiffe://example.org/a b": false,
		"https://example.org/ada": false, "spiffe://example.org/ada\n": false,
	} {
		r := orderdb.Retry{OrderID: o.ID, Kind: order.Charge, Operator: operator, Reason: "why"}
		if _, err := s.Retry(t.Context(), r); (err == nil) != right {
			t.Errorf("retry by %.40q: got %v", operator, err)
		}
		accept := orderdb.Acceptance{ID: uuid.NewString(), Operator: operator, Reason: "moved"}
		if _, _, err := s.AcceptPayments(t.Context(), accept); (err == nil) != right {
			t.Errorf("accept by %.40q: got %v", operator, err)
		}
	}
}

// One operator has a command tried again and again while others settle its order: they wait for each other, and for
// nobody in a circle.
func TestARetryAndASettlementDoNotCollide(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for range slow.Times(5, 50) {
		o := placed(t, db, order.Pending)
		said(t, db, o.ID, "KEY_REUSED", true)
		r := orderdb.Retry{OrderID: o.ID, Kind: order.Charge, Operator: "ada", Reason: "once more"}
		var both sync.WaitGroup
		both.Go(func() {
			for range 1000 { // or until it is settled
				found, err := s.Retry(t.Context(), r)
				if err != nil {
					t.Error(err)
				}
				if !found {
					return
				}
			}
		})
		both.Go(func() {
			if _, changed, err := s.SettleByHand(t.Context(), decision(o.ID)); err != nil || !changed {
				t.Errorf("settle: got changed %v, error %v", changed, err)
			}
		})
		both.Wait()
	}
	const deadlocks = `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`
	if n := count(t, db.Pool, deadlocks); n > 0 {
		t.Errorf("got %d deadlocks, want none", n)
	}
}

// An order whose command was only retried was not cancelled by hand, whatever comes of it.
func TestARetryIsNoSettlement(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o, m := standingIn(t, db, newOrder(), order.State{Status: order.Cancelled}, order.Charge)
	add(t, db, o.ID, order.Void)
	r := orderdb.Retry{OrderID: o.ID, Kind: order.Charge, Operator: "ada", Reason: "once more"}
	if found, err := s.Retry(t.Context(), r); err != nil || !found {
		t.Fatalf("got found %v, error %v", found, err)
	}
	if got := apply(t, s, found(order.PaymentCharged, m)).Changes; len(got) > 0 {
		t.Errorf("got %+v, want no alarm about a CANCELLED order that nobody settled by hand", got)
	}
}

// Eight operators decide the same at the same time. One of them did it.
func TestOperatorsWhoDecideTogetherSettleOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Pending)
	said(t, db, o.ID, "KEY_REUSED", true)
	var all sync.WaitGroup
	var changes atomic.Int32
	for range 8 {
		all.Go(func() {
			got, changed, err := s.SettleByHand(t.Context(), decision(o.ID))
			if err != nil || got.Status != order.Cancelled {
				t.Errorf("got %s, error %v, want %s", got.Status, err, order.Cancelled)
			}
			if changed {
				changes.Add(1)
			}
		})
	}
	all.Wait()
	if got := changes.Load(); got != 1 {
		t.Errorf("got %d operators told of a change, want 1", got)
	}
	if n := audits(t, db, o.ID); n != 1 {
		t.Errorf("got %d audit rows, want 1", n)
	}
}
