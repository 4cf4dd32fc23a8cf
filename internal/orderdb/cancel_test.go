package orderdb_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

func TestCancelOfEachStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, to order.Status
		changed  bool
		commands []string
	}{
		{order.Pending, order.Cancelling, true, []string{"CHARGE", "VOID"}},
		{order.Completed, order.Cancelling, true, []string{"VOID"}},
		{order.Cancelling, order.Cancelling, false, []string{"CHARGE", "VOID"}},
		{order.Cancelled, order.Cancelled, false, []string{}},
	}
	for _, test := range tests {
		t.Run(string(test.from), func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			s := orderdb.New(db.Pool, command.Encode)
			before := placed(t, db, test.from)

			got, changed, err := s.Cancel(t.Context(), before.ID, "")
			if err != nil || changed != test.changed {
				t.Fatalf("got changed %v, error %v; want %v", changed, err, test.changed)
			}
			want := before
			want.Status, want.CancelReason = test.to, order.ReasonCustomer
			want.UpdatedAt = got.UpdatedAt
			if test.from == order.Completed {
				want.CompletedAt = before.UpdatedAt // it is remembered
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
			if later := got.UpdatedAt.After(before.UpdatedAt); later != test.changed {
				t.Errorf("got updated at %s after %s: %v, want %v",
					got.UpdatedAt, before.UpdatedAt, later, test.changed)
			}
			if diff := cmp.Diff(got, get(t, s, before.ID)); diff != "" {
				t.Errorf("the order read again (-answered +read):\n%s", diff)
			}
			if diff := cmp.Diff(test.commands, commands(t, db.Pool, before.ID)); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheVoidNeverExpiresAndNamesItsOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	o := placed(t, db, order.Cancelling)
	var payload []byte
	var expires bool
	err := db.Pool.QueryRow(t.Context(), `SELECT payload, expires_at IS NOT NULL FROM outbox WHERE kind = 'VOID'`).
		Scan(&payload, &expires)
	if err != nil {
		t.Fatal(err)
	}
	if expires {
		t.Error("got a VOID that expires, want one that does not")
	}
	if diff := cmp.Diff(encoded(t, order.Void, o), payload); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

func TestAnUnknownOrderCannotBeCancelled(t *testing.T) {
	t.Parallel()
	s := orderdb.New(pgtest.Orders(t).Pool, command.Encode)
	if _, _, err := s.Cancel(t.Context(), uuid.NewString(), ""); !errors.Is(err, orderdb.ErrNotFound) {
		t.Errorf("got error %v, want ErrNotFound", err)
	}
}

func TestFiftyParallelCancelsWriteOneVoid(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Pending)
	var wait sync.WaitGroup
	var changes atomic.Int64
	for range 50 {
		wait.Go(func() {
			got, changed, err := s.Cancel(t.Context(), o.ID, "")
			if err != nil || got.Status != order.Cancelling {
				t.Errorf("got status %s, error %v; want %s", got.Status, err, order.Cancelling)
			}
			if changed {
				changes.Add(1)
			}
		})
	}
	wait.Wait()
	if got := changes.Load(); got != 1 {
		t.Errorf("got %d cancels that were told of a change, want 1", got)
	}
	if diff := cmp.Diff([]string{"CHARGE", "VOID"}, commands(t, db.Pool, o.ID)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// The relay has heard that the order is paid and holds its row; the customer's cancel comes before the commit. The
// cancel waits, sees the paid order, and makes it a refund.
func TestACancelThatMeetsASettleBecomesARefund(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := placed(t, db, order.Pending)
	var wait sync.WaitGroup
	defer wait.Wait()
	err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), complete, o.ID)
		if err != nil {
			return err
		}
		wait.Go(func() {
			got, changed, err := s.Cancel(t.Context(), o.ID, "")
			if err != nil || !changed || got.Status != order.Cancelling {
				t.Errorf("got status %s, changed %v, error %v; want %s", got.Status, changed, err, order.Cancelling)
			}
		})
		awaitBlocked(t, db, 1)
		_, err = tx.Exec(t.Context(), `DELETE FROM outbox WHERE key = $1`, o.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	if diff := cmp.Diff([]string{"VOID"}, commands(t, db.Pool, o.ID)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// The other way round: the cancel holds the row, between its status and its VOID, when the relay wants to complete the
// order. The relay's compare-and-set finds no PENDING order, and the cancel stands.
func TestASettleThatMeetsACancelChangesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	o := placed(t, db, order.Pending)
	left, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	s := orderdb.New(db.Pool, func(kind order.Command, o order.Order) ([]byte, error) {
		close(left)
		<-released
		return command.Encode(kind, o)
	})
	var wait sync.WaitGroup
	defer wait.Wait()
	defer release()
	wait.Go(func() {
		if _, changed, err := s.Cancel(t.Context(), o.ID, ""); err != nil || !changed {
			t.Errorf("got changed %v, error %v; want the cancel to stand", changed, err)
		}
	})
	<-left
	wait.Go(func() {
		tag, err := db.Pool.Exec(t.Context(), complete, o.ID)
		if err != nil || tag.RowsAffected() != 0 {
			t.Errorf("got %d rows completed, error %v; want none", tag.RowsAffected(), err)
		}
	})
	awaitBlocked(t, db, 1)
	release()
	wait.Wait()
	if got := get(t, s, o.ID).Status; got != order.Cancelling {
		t.Errorf("got status %s, want %s", got, order.Cancelling)
	}
}

// The crash window of a cancel: the status is left, the VOID is not written, and the session dies.
func TestASessionThatDiesBeforeTheVoidLeavesTheOrderAsItWas(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	o := placed(t, db, order.Pending)
	dying := orderdb.New(db.Pool, func(kind order.Command, o order.Order) ([]byte, error) {
		count(t, db.Pool, `
			SELECT count(pg_terminate_backend(pid))
			FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction'`)
		return command.Encode(kind, o)
	})
	if _, _, err := dying.Cancel(t.Context(), o.ID, ""); err == nil {
		t.Error("got no error, want the session's end")
	}
	if diff := cmp.Diff(o, get(t, dying, o.ID)); diff != "" {
		t.Errorf("order (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"CHARGE"}, commands(t, db.Pool, o.ID)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}
