package orderdb_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// The crash window of giving up: the session dies while the VOID is being made, after the orders are locked and before
// anything reached the disk. Neither the status nor the outbox of any order in the batch has changed.
func TestASettleThatIsBrokenOffLeavesNeitherStatusNorCommand(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	paid, given := place(t, s, newOrder()), place(t, s, newOrder())
	findings := []orderdb.Finding{{}, found(order.ChargeSpent, claimed(t, db, given.ID))}
	findings[0] = found(order.PaymentCharged, reclaimed(t, db, paid.ID))
	killing := orderdb.New(db.Pool, func(kind order.Command, o order.Order) ([]byte, error) {
		killed := count(t, db.Pool, `
			SELECT count(pg_terminate_backend(pid))
			FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction'`)
		if killed != 1 {
			t.Errorf("killed %d sessions, want the one that settles", killed)
		}
		return command.Encode(kind, o)
	})
	unchanged := func() {
		t.Helper()
		eventually(t, "the session that died lets go of its locks", func() bool {
			return free(t, db) == 2
		})
		for _, o := range []order.Order{paid, given} {
			if diff := cmp.Diff(o, get(t, s, o.ID)); diff != "" {
				t.Errorf("order (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"CHARGE"}, commands(t, db.Pool, o.ID)); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		}
		if n := count(t, db.Pool, `SELECT count(*) FROM changes`); n != 0 {
			t.Errorf("got %d changes told, want none", n)
		}
	}
	if _, err := killing.Settle(t.Context(), findings); pg.Classify(err) != pg.Unreachable {
		t.Errorf("got error %v, want the session's end", err)
	}
	unchanged()

	// And the windows around it: the attempts are not written yet, or the statuses are and the outbox is not. A trigger
	// kills the session at the first row that would enter the attempts or changes, or leave or enter the outbox.
	for _, window := range []struct{ change, table string }{
		{"INSERT", "attempts"}, {"INSERT", "changes"}, {"DELETE", "outbox"}, {"INSERT", "outbox"},
	} {
		killer(t, db, fmt.Sprintf(`CREATE TRIGGER killer BEFORE %s ON %s`, window.change, window.table))
		if _, err := s.Settle(t.Context(), findings); pg.Classify(err) != pg.Unreachable {
			t.Errorf("%s: got error %v, want the session's end", window, err)
		}
		spare(t, db, window.table)
		unchanged()
	}
	apply(t, s, findings...)
	if a, b := get(t, s, paid.ID).Status, get(t, s, given.ID).Status; a != order.Completed || b != order.Cancelling {
		t.Errorf("got %s and %s afterwards, want %s and %s", a, b, order.Completed, order.Cancelling)
	}
}

// free counts the orders that nobody has locked.
func free(t testing.TB, db *pgtest.Database) int {
	t.Helper()
	return count(t, db.Pool, `SELECT count(*) FROM (SELECT FROM orders FOR UPDATE SKIP LOCKED) AS free`)
}

// killer makes a trigger that ends its own session.
func killer(t testing.TB, db *pgtest.Database, create string) {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), `
		CREATE OR REPLACE FUNCTION kill_me() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_terminate_backend(pg_backend_pid());
			RETURN NULL;
		END
		$$`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool.Exec(t.Context(), create+` FOR EACH ROW EXECUTE FUNCTION kill_me()`); err != nil {
		t.Fatal(err)
	}
}

// spare takes the killer off a table again.
func spare(t testing.TB, db *pgtest.Database, table string) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), `DROP TRIGGER killer ON `+table); err != nil {
		t.Fatal(err)
	}
}

// The session dies within the COMMIT, and the settler cannot know whether it happened: the error says so. Here it did
// not; it may as well have, so that all is applied again, and once more.
func TestALostCommitIsReportedAsUnknownAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	o := place(t, s, newOrder())
	finding := found(order.ChargeSpent, claimed(t, db, o.ID))
	killer(t, db, `CREATE CONSTRAINT TRIGGER killer AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED`)
	if _, err := s.Settle(t.Context(), []orderdb.Finding{finding}); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got error %v, want ErrCommitUnknown", err)
	}
	eventually(t, "the session that died lets go of its locks", func() bool {
		return free(t, db) == 1
	})
	spare(t, db, "orders")
	for range 2 {
		apply(t, s, finding)
		if got := get(t, s, o.ID).Status; got != order.Cancelling {
			t.Errorf("got %s, want %s", got, order.Cancelling)
		}
		if diff := cmp.Diff([]string{"VOID"}, commands(t, db.Pool, o.ID)); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		if got := explained(t, s, o.ID).Changes; len(got) != 1 || got[0].Cause != order.ChargeSpent.String() {
			t.Errorf("got the changes %+v, want the one, told once", got)
		}
	}
}
