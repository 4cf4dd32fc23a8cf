package orderdb_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// Between the orders that are settled lie others, which wait as they did, and so do their commands. All commands of the
// orders that are settled leave: somebody has put second ones there by hand. A pooler may know no prepared statements.
func TestOrdersPlacedTogetherAreSettledAndNoOthers(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		db := pgtest.Orders(t)
		config := db.Pool.Config()
		config.ConnConfig.DefaultQueryExecMode = mode
		s := orderdb.New(poolOf(t, config), command.Encode)
		news := together(2 * nearby)
		findings := everyOther(charged(t, db, news...))
		for _, n := range news[:4] {
			add(t, db, n.ID, order.Void)
		}
		slices.Reverse(findings)
		done := apply(t, s, findings...)
		if len(done.Changes) != nearby || len(done.Later) > 0 {
			t.Fatalf("%s: got %d changes, later %v; want %d and none", mode, len(done.Changes), done.Later, nearby)
		}
		want := map[string]string{}
		for i, n := range news {
			switch want[n.ID] = "COMPLETED"; {
			case i == 1 || i == 3:
				want[n.ID] = "PENDING CHARGE VOID"
			case i%2 == 1:
				want[n.ID] = "PENDING CHARGE"
			}
		}
		if diff := cmp.Diff(want, standing(t, db)); diff != "" {
			t.Errorf("%s: orders and their commands (-want +got):\n%s", mode, diff)
		}
	}
}

// One of many cannot be settled as the others are: it comes to what it comes to alone, and the others are settled.
func TestOneOfManyThatWerePlacedTogetherIsDifferent(t *testing.T) {
	t.Parallel()
	const one = 7
	for _, c := range []struct {
		name      string
		different string // a statement about the order
		told      orderdb.Told
		want      string
	}{
		{
			"cancelled", `UPDATE orders SET status = 'CANCELLING', cancel_reason = 'CUSTOMER' WHERE id = $1`, money,
			"CANCELLING",
		},
		{
			"of another customer", "",
			orderdb.Told{CustomerID: "bob", AmountMinor: 900, Currency: "JPY"},
			"PENDING CHARGE",
		},
		{
			"of another amount", "",
			orderdb.Told{CustomerID: "alice", AmountMinor: 901, Currency: "JPY"},
			"PENDING CHARGE",
		},
		{
			"of another currency", "",
			orderdb.Told{CustomerID: "alice", AmountMinor: 900, Currency: "EUR"},
			"PENDING CHARGE",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			s := orderdb.New(db.Pool, command.Encode)
			news := together(nearby)
			findings := charged(t, db, news...)
			findings[one].Told = c.told
			if c.different != "" {
				damage(t, db, c.different, news[one].ID)
			}
			done := apply(t, s, findings...)
			settled := 0
			for _, change := range done.Changes {
				if change.To == order.Completed {
					settled++
				}
			}
			if settled != nearby-1 {
				t.Errorf("got %d orders settled, want %d", settled, nearby-1)
			}
			want := map[string]string{}
			for _, n := range news {
				want[n.ID] = "COMPLETED"
			}
			want[news[one].ID] = c.want
			if diff := cmp.Diff(want, standing(t, db)); diff != "" {
				t.Errorf("orders and their commands (-want +got):\n%s", diff)
			}
		})
	}
}

// A person in psql has locked one order of many. Nobody waits, and the others are settled.
func TestALockedOneOfManyThatWerePlacedTogetherHoldsUpNobody(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	news := together(nearby)
	findings := charged(t, db, news...)
	locked := news[nearby/2].ID
	err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT FROM orders WHERE id = $1 FOR UPDATE`, locked); err != nil {
			return err
		}
		done := apply(t, s, findings...)
		if diff := cmp.Diff([]int{nearby / 2}, done.Later); diff != "" || len(done.Changes) != nearby-1 {
			t.Errorf("got %d changes, want %d; later (-want +got):\n%s", len(done.Changes), nearby-1, diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, n := range news {
		want[n.ID] = "COMPLETED"
	}
	want[locked] = "PENDING CHARGE"
	if diff := cmp.Diff(want, standing(t, db)); diff != "" {
		t.Errorf("orders and their commands (-want +got):\n%s", diff)
	}
}
