package orderdb_test

import (
	"testing"

	"hosho/internal/command"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// Requests are repeated after a failure. What is written in vain for that is one statement, not one for each of them,
// and another one when there has been no repeat for long: so long is looked up beforehand what is there.
func TestAStormOfRepeatedRequestsWritesOnceInVain(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	first := place(t, s, request("r-1"))
	repeat := func(want int) {
		t.Helper()
		for range 10 {
			placed := placeAll(t, s, newOrder(), request("r-1"), newOrder())
			if got := placed[1]; got.Err != nil || got.Fresh || got.Order.ID != first.ID {
				t.Errorf("got %+v, want the first order, %s", got, first.ID)
			}
			if !placed[0].Fresh || !placed[2].Fresh {
				t.Errorf("got %+v, want that those beside it are new", placed)
			}
		}
		if got := db.Counter(t, "xact_rollback"); got != want {
			t.Errorf("got %d transactions that were rolled back, want %d", got, want)
		}
	}
	repeat(1)
	for range 64 {
		place(t, s, newOrder())
	}
	repeat(2)
}
