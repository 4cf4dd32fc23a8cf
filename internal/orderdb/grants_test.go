package orderdb_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// What orderd may do, and no more. It must be enough for everything that orderd asks of this package.
func TestOrderdNeedsNoMoreThanItsGrants(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	execute(t, db, `
		CREATE ROLE orderd_alone;
		GRANT SELECT, INSERT ON orders TO orderd_alone;
		GRANT UPDATE (status, cancel_reason, updated_at) ON orders TO orderd_alone;
		GRANT INSERT ON outbox TO orderd_alone;`)
	t.Cleanup(func() { execute(t, db, `DROP OWNED BY orderd_alone; DROP ROLE orderd_alone`) })
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["role"] = "orderd_alone"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := orderdb.New(pool, command.Encode)

	o := place(t, s, request("r-1"))
	if again, fresh, err := s.Place(t.Context(), request("r-1")); err != nil || fresh || again.ID != o.ID {
		t.Errorf("repeat: got order %s, fresh %v, error %v; want %s", again.ID, fresh, err, o.ID)
	}
	if _, changed, err := s.Cancel(t.Context(), o.ID); err != nil || !changed {
		t.Errorf("cancel: got changed %v, error %v", changed, err)
	}
	if got := list(t, s, orderdb.Filter{CustomerID: "alice", Status: order.Cancelling}, "", 10); len(got) != 1 {
		t.Errorf("list: got %d orders, want 1", len(got))
	}
	if got, err := s.Watched(t.Context(), map[string]order.Status{o.ID: order.Pending}); err != nil || len(got) != 1 {
		t.Errorf("watched: got %d orders, error %v; want 1", len(got), err)
	}
	get(t, s, o.ID)
}
