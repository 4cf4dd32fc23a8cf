package orderdb_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// Two relays hold the same charges, because a lease was too short: both have heard that they were made, and settle them
// at the same time, in batches that overlap and are in opposite order. Customers cancel some of the orders meanwhile.
// Each order is completed by one of the two or not at all, a cancel that was acknowledged stands, and nobody deadlocks.
func TestSettlersAndCustomersMeetOnTheSameOrders(t *testing.T) {
	t.Parallel()
	const rounds, orders = 15, 40
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for range rounds {
		var ids []string
		var findings []orderdb.Finding
		for range orders {
			o := place(t, s, newOrder())
			ids = append(ids, o.ID)
			findings = append(findings, found(order.PaymentCharged, claimed(t, db, o.ID)))
		}
		first, second := findings[:orders*3/4], slices.Clone(findings[orders/4:])
		slices.Reverse(second)

		var all sync.WaitGroup
		begin := make(chan struct{})
		completed := make([][]string, 2)
		for i, batch := range [][]orderdb.Finding{first, second} {
			all.Go(func() {
				<-begin
				completed[i] = settleAll(t, s, batch)
			})
		}
		for i := range 4 {
			all.Go(func() {
				<-begin
				for n := i; n < orders; n += 8 {
					if _, _, err := s.Cancel(t.Context(), ids[n], ""); err != nil {
						t.Error(err)
					}
				}
			})
		}
		close(begin)
		all.Wait()

		twice := slices.Concat(completed...)
		slices.Sort(twice)
		if n := len(twice); n != len(slices.Compact(twice)) {
			t.Error("an order was completed twice")
		}
		for n, id := range ids {
			want, left := order.Completed, []string{}
			if n%8 < 4 {
				want, left = order.Cancelling, []string{"VOID"}
			}
			if got := get(t, s, id).Status; got != want {
				t.Errorf("order %d: got %s, want %s", n, got, want)
			}
			if diff := cmp.Diff(left, append([]string{}, commands(t, db.Pool, id)...)); diff != "" {
				t.Errorf("order %d: commands (-want +got):\n%s", n, diff)
			}
		}
	}
	// InTx would hide a deadlock by starting over; the database counts them all.
	if n := deadlocks(t, db); n != 0 {
		t.Errorf("got %d deadlocks, want none", n)
	}
}

// settleAll does what the worker does: what could not be applied comes again. It answers the orders that it completed.
func settleAll(t testing.TB, s *orderdb.Store, findings []orderdb.Finding) (completed []string) {
	for len(findings) > 0 {
		done, err := s.Settle(t.Context(), findings)
		if err != nil {
			t.Error(err)
			return completed
		}
		for _, c := range done.Changes {
			completed = append(completed, c.Order.ID)
		}
		var later []orderdb.Finding
		for _, i := range done.Later {
			later = append(later, findings[i])
		}
		findings = later
	}
	return completed
}

// deadlocks asks each session for its statistics first: they are kept back for seconds otherwise.
func deadlocks(t testing.TB, db *pgtest.Database) (n int) {
	t.Helper()
	for _, conn := range db.Pool.AcquireAllIdle(t.Context()) {
		_, err := conn.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`)
		conn.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	return count(t, db.Pool, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`)
}
