package orderdb_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pgtest"
)

// alone returns a pool on which a new role may do what it is granted, and no more.
func alone(t *testing.T, db *pgtest.Database, role, grants string) *pgxpool.Pool {
	t.Helper()
	execute(t, db, `CREATE ROLE `+role+`;`+grants)
	t.Cleanup(func() { execute(t, db, `DROP OWNED BY `+role+`; DROP ROLE `+role) })
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["role"] = role
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// The rights that readiness asks for, and no more. They must be enough for everything that orderd asks of this package.
func TestOrderdNeedsNoMoreThanItsGrants(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	pool := db.As(t, orderdb.OrderdNeeds()).Pool
	s := orderdb.New(pool, command.Encode)

	o := place(t, s, request("r-1"))
	if again, fresh, err := s.Place(t.Context(), request("r-1")); err != nil || fresh || again.ID != o.ID {
		t.Errorf("repeat: got order %s, fresh %v, error %v; want %s", again.ID, fresh, err, o.ID)
	}
	if _, changed, err := s.Cancel(t.Context(), o.ID, ""); err != nil || !changed {
		t.Errorf("cancel: got changed %v, error %v", changed, err)
	}
	if got := list(t, s, orderdb.Filter{CustomerID: "alice", Status: order.Cancelling}, "", 10); len(got) != 1 {
		t.Errorf("list: got %d orders, want 1", len(got))
	}
	if got := list(t, s, orderdb.Filter{Status: order.Cancelling}, "", 10); len(got) != 1 {
		t.Errorf("list everybody's: got %d orders, want 1", len(got))
	}
	if got := told(t, s.Watched, []orderdb.Seen{{ID: o.ID, Status: order.Pending}}); len(got.Orders) != 1 {
		t.Errorf("watched: got %d orders, want 1", len(got.Orders))
	}
	get(t, s, o.ID)
}

// What a relay may do, and no more: of attempts and changes it may add and read, and nobody may change or delete one.
func TestTheRelayNeedsNoMoreThanItsGrants(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	pool := db.As(t, orderdb.RelayNeeds()).Pool
	s := orderdb.New(pool, command.Encode)
	var claims []outbox.Message
	for range 4 {
		o := place(t, orderdb.New(db.Pool, command.Encode), newOrder())
		messages := claimAll(t, pool, time.Hour, 1, 1)
		if len(messages) != 1 || messages[0].Key != o.ID {
			t.Fatalf("claim: got %d messages, want the one of order %s", len(messages), o.ID)
		}
		claims = append(claims, messages...)
	}
	parked := found(order.ChargeConflict, claims[2])
	parked.Retry.Code = "KEY_REUSED"
	done := apply(t, s, found(order.ChargeUndecided, claims[0]), found(order.ChargeSpent, claims[1]), parked,
		atOnce(order.PaymentCharged, claims[3]))
	if len(done.Changes) != 3 {
		t.Errorf("settle: got %+v, want the order given up, the one parked and the one paid", done.Changes)
	}
	if stuck, _, err := s.Stuck(t.Context(), time.Hour, 0, 10); err != nil || len(stuck) != 1 {
		t.Errorf("stuck: got %d commands, error %v; want the one that is parked", len(stuck), err)
	}
	again := orderdb.Retry{OrderID: claims[2].Key, Kind: order.Charge, Operator: "ada", Reason: "try once more"}
	if found, err := s.Retry(t.Context(), again); err != nil || !found {
		t.Errorf("retry: got found %v, error %v", found, err)
	}
	if backlog, err := s.Backlog(t.Context()); err != nil || len(backlog) != 2 {
		t.Errorf("backlog: got %+v, error %v; want charges and voids", backlog, err)
	}
	if _, changed, err := s.SettleByHand(t.Context(), decision(claims[2].Key)); err != nil || !changed {
		t.Errorf("settle by hand: got changed %v, error %v", changed, err)
	}
	if e := explained(t, s, claims[2].Key); len(e.Attempts) != 1 || e.Decision == nil ||
		len(e.Changes) != 1 {
		t.Errorf("explain: got %+v, want one attempt, one change and a decision", e)
	}
	for i, id := range []string{claims[0].Key, claims[1].Key} {
		found, err := s.Trust(t.Context(), id)
		if err != nil || *found.Trusted != claims[0].Key {
			t.Errorf("trust: got %+v, error %v; want the first that was told", found, err)
		}
		accept := orderdb.Acceptance{ID: claims[0].Key, Operator: "ada", Reason: "again"}
		if _, changed, err := s.AcceptPayments(t.Context(), accept); err != nil || changed {
			t.Errorf("accept what is trusted, %d: got changed %v, error %v", i, changed, err)
		}
	}
	accept := orderdb.Acceptance{ID: claims[1].Key, Operator: "ada", Reason: "moved"}
	if from, changed, err := s.AcceptPayments(t.Context(), accept); err != nil || !changed || *from != claims[0].Key {
		t.Errorf("accept another: got from %v, changed %v, error %v", from, changed, err)
	}
	for _, forbidden := range []string{
		`UPDATE attempts SET code = 'OK'`, `DELETE FROM attempts`, `TRUNCATE attempts`,
		`UPDATE changes SET who = ''`, `DELETE FROM changes`, `TRUNCATE changes`,
		`UPDATE payments_database_audit SET reason = ''`, `DELETE FROM payments_database`,
	} {
		_, err := pool.Exec(t.Context(), forbidden)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: got error %v, want insufficient_privilege", forbidden, err)
		}
	}
}

// What reconcile's repair may do, and no more: it has orders locked, which takes the right to update one column, and of
// a command it may change only when it is due.
func TestTheRepairNeedsNoMoreThanItsGrants(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	pool := alone(t, db, "repair_alone", `
		GRANT SELECT, UPDATE (updated_at) ON orders TO repair_alone;
		GRANT SELECT, INSERT ON outbox TO repair_alone;
		GRANT UPDATE (ready_at) ON outbox TO repair_alone;`)
	s := orderdb.New(pool, command.Encode)
	late, lost := placed(t, db, order.Pending), placed(t, db, order.Cancelling)
	damage(t, db, `UPDATE outbox SET ready_at = 'infinity' WHERE key = $1`, late.ID)
	damage(t, db, `DELETE FROM outbox WHERE key = $1`, lost.ID)
	if got := redrive(t, s, late.ID); got.Did != orderdb.MadeDue {
		t.Errorf("a command that waits: got %v, want it made due", got.Did)
	}
	if got := redrive(t, s, lost.ID); got.Did != orderdb.PutBack {
		t.Errorf("a command that is lost: got %v, want it put back", got.Did)
	}
}
