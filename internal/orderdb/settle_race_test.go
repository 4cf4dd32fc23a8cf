package orderdb_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// Two relays hold the same charges, because a lease was too short: both have heard that they were made, and settle them
// at the same time, in batches that overlap and are in opposite order. Customers cancel some of the orders meanwhile.
// Each order is completed by one of the two or not at all, a cancel that was acknowledged stands, and nobody deadlocks.
func TestSettlersAndCustomersMeetOnTheSameOrders(t *testing.T) {
	slow.Test(t, "races settlers against customers")
	t.Parallel()
	const orders = 4 * nearby
	rounds := slow.Times(6, 50)
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	for round := range rounds {
		news := apart(orders)
		if round%2 == 0 {
			news = together(orders)
		}
		var ids []string
		findings := charged(t, db, news...)
		for i, n := range news {
			ids = append(ids, n.ID)
			findings[i] = way(i)(order.PaymentCharged, findings[i].Retry.Message)
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
		want := map[string]string{}
		for n, id := range ids {
			want[id] = "COMPLETED"
			if n%8 < 4 {
				want[id] = "CANCELLING VOID"
			}
		}
		if diff := cmp.Diff(want, standing(t, db)); diff != "" {
			t.Errorf("orders and their commands (-want +got):\n%s", diff)
		}
		execute(t, db, `TRUNCATE orders, outbox, audit`)
	}
	// InTx would hide a deadlock by starting over; the database counts them all.
	if n := deadlocks(t, db); n != 0 {
		t.Errorf("got %d deadlocks, want none", n)
	}
}

// Many customers cancel while two relays, which both hold the charge, settle it: each cancel falls somewhere before,
// between or after the two. Wherever it falls, the order is given up, once, and its VOID alone is left.
func TestCancelsMeetTheSettlingOfTheirOrders(t *testing.T) {
	slow.Test(t, "races cancels against the settling of many orders")
	t.Parallel()
	const orders, customers = 200, 6
	rounds := slow.Times(4, 50)
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	before, after := 0, 0 // cancels that came before the order was completed, and after
	for round := range rounds {
		var findings []orderdb.Finding
		batch := 4
		if round%2 == 0 {
			findings = placeAndClaim(t, db, orders)
		} else {
			findings, batch = charged(t, db, together(orders)...), nearby
		}
		reversed := slices.Clone(findings)
		slices.Reverse(reversed)
		var all sync.WaitGroup
		begin := make(chan struct{})
		completed := make([]int, 2)
		for i, mine := range [][]orderdb.Finding{findings, reversed} {
			all.Go(func() {
				<-begin
				for some := range slices.Chunk(mine, batch) {
					completed[i] += len(settleAll(t, s, some))
				}
			})
		}
		for i := range customers {
			all.Go(func() {
				<-begin
				for n := i; n < orders; n += customers {
					_, changed, err := s.Cancel(t.Context(), findings[n].Retry.Message.Key, "")
					if err != nil || !changed {
						t.Errorf("cancel: got changed %t, %v; want it done", changed, err)
					}
				}
			})
		}
		close(begin)
		all.Wait()
		after += completed[0] + completed[1]
		before += orders - completed[0] - completed[1]
		if n := count(t, db.Pool, `SELECT count(*) FROM orders WHERE status <> 'CANCELLING'`); n > 0 {
			t.Errorf("%d orders are not CANCELLING although their cancels were acknowledged", n)
		}
		voids := count(t, db.Pool, `SELECT count(*) FROM outbox WHERE kind = 'VOID'`)
		charges := count(t, db.Pool, `SELECT count(*) FROM outbox WHERE kind = 'CHARGE'`)
		if voids != orders || charges > 0 {
			t.Errorf("got %d VOIDs and %d CHARGEs, want %d and none", voids, charges, orders)
		}
		execute(t, db, `TRUNCATE orders, outbox, audit`)
	}
	t.Logf("of %d cancels %d came before the order was completed", rounds*orders, before)
	if before < rounds || after < rounds {
		t.Errorf("got %d cancels before the order was completed and %d after, want many of both", before, after)
	}
	if n := deadlocks(t, db); n != 0 {
		t.Errorf("got %d deadlocks, want none", n)
	}
}

// placeAndClaim places orders, all at once, has a relay claim their charges, and returns that they were made.
func placeAndClaim(t *testing.T, db *pgtest.Database, orders int) (findings []orderdb.Finding) {
	t.Helper()
	execute(t, db, fmt.Sprintf(`
		WITH placed AS (
			INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
			SELECT gen_random_uuid(), 'alice', '[{"name": "tea", "quantity": 2, "unit_price": 450}]', 900, 'JPY',
				now() + interval '1 hour'
			FROM generate_series(1, %d)
			RETURNING id
		)
		INSERT INTO outbox (key, kind, payload) SELECT id, 'CHARGE', '' FROM placed`, orders))
	messages := claimAll(t, db.Pool, time.Hour, orders, 0)
	if len(messages) != orders {
		t.Fatalf("claim: got %d messages, want %d", len(messages), orders)
	}
	for i, m := range messages {
		findings = append(findings, way(i)(order.PaymentCharged, m))
	}
	return findings
}

// settleAll does what the worker does: what could not be applied comes again. It returns the orders that it completed.
func settleAll(t testing.TB, s *orderdb.Store, findings []orderdb.Finding) (completed []string) {
	for len(findings) > 0 {
		done, err := s.Settle(t.Context(), findings)
		if err != nil {
			t.Error(err)
			return completed
		}
		for _, c := range done.Changes {
			completed = append(completed, c.OrderID)
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
