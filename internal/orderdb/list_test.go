package orderdb_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// list returns the ids of a page.
func list(t *testing.T, s *orderdb.Store, f orderdb.Filter, after string, limit int) []string {
	t.Helper()
	orders, _, err := s.List(t.Context(), f, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(orders))
	for i, o := range orders {
		ids[i] = o.ID
	}
	return ids
}

func TestListSelectsByCustomerAndStatusTheNewestFirst(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	by := func(customer string, status order.Status) string {
		n := newOrder()
		n.CustomerID = customer
		o := place(t, s, n)
		if status == order.Completed {
			settle(t, db.Pool, o.ID, order.Pending, order.Completed)
		}
		return o.ID
	}
	a1, b1 := by("alice", order.Pending), by("bob", order.Completed)
	a2, b2 := by("alice", order.Completed), by("bob", order.Pending)

	tests := []struct {
		filter orderdb.Filter
		want   []string
	}{
		{orderdb.Filter{}, []string{b2, a2, b1, a1}},
		{orderdb.Filter{CustomerID: "alice"}, []string{a2, a1}},
		{orderdb.Filter{Status: order.Pending}, []string{b2, a1}},
		{orderdb.Filter{CustomerID: "bob", Status: order.Completed}, []string{b1}},
		{orderdb.Filter{CustomerID: "alice", Status: order.Cancelled}, []string{}},
		{orderdb.Filter{CustomerID: "carol"}, []string{}},
		{orderdb.Filter{CustomerID: "' OR true --"}, []string{}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, list(t, s, test.filter, "", 10)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.filter, diff)
		}
	}
	if diff := cmp.Diff([]string{a2, b1}, list(t, s, orderdb.Filter{}, b2, 2)); diff != "" {
		t.Errorf("the two after the first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{a1}, list(t, s, orderdb.Filter{CustomerID: "alice"}, a2, 2)); diff != "" {
		t.Errorf("the page after alice's first (-want +got):\n%s", diff)
	}
}

// A page that is full ends the call, and so do 10,000 rows that were looked at: then it returns what it has found, and
// where to go on.
func TestListSaysWhereItGoesOn(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	var ids []string
	for range 5 {
		ids = append(ids, placed(t, db, order.Pending).ID)
	}
	slices.Reverse(ids)
	for limit, want := range map[int]string{2: ids[1], 4: ids[3], 5: "", 6: ""} {
		for _, f := range []orderdb.Filter{
			{}, {CustomerID: "alice"}, {Status: order.Pending}, {CustomerID: "alice", Status: order.Pending},
		} {
			orders, rest, err := s.List(t.Context(), f, "", limit)
			if err != nil || len(orders) != min(limit, 5) || rest != want {
				t.Errorf("%+v, %d at most: got %d orders and the rest after %q, error %v; want %d and %q",
					f, limit, len(orders), rest, err, min(limit, 5), want)
			}
		}
	}
}

// Orders with a hundred long items are 40 KiB each. A call ends when it holds as many as go into a reply, and does not
// read the thousand that it was asked for.
func TestListHoldsAFewLargeOrdersAtATime(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	execute(t, db, `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		SELECT gen_random_uuid(), 'alice', (
			SELECT jsonb_agg(jsonb_build_object('name', repeat('x', 400), 'quantity', 1, 'unit_price', 1))
			FROM generate_series(1, 100)
		), 100, 'JPY', clock_timestamp()
		FROM generate_series(1, 120);
		INSERT INTO outbox (key, kind, payload) SELECT id, 'CHARGE', '' FROM orders`)
	s := orderdb.New(db.Pool, command.Encode)
	for _, f := range []orderdb.Filter{{}, {CustomerID: "alice"}, {Status: order.Pending}} {
		var pages []int
		for after := ""; len(pages) == 0 || after != ""; {
			orders, rest, err := s.List(t.Context(), f, after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			pages, after = append(pages, len(orders)), rest
		}
		if diff := cmp.Diff([]int{100, 20}, pages); diff != "" {
			t.Errorf("%+v: orders of each call (-want +got):\n%s", f, diff)
		}
	}
}

// An order is found by the command that drives it, not by one that its cancelling has superseded; and one whose command
// is lost is found among its customer's.
func TestUnsettledOrdersAreFoundByTheirCommands(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	pending, stranded := placed(t, db, order.Pending), placed(t, db, order.Pending)
	cancelling := placed(t, db, order.Cancelling) // has a CHARGE and a VOID
	placed(t, db, order.Completed)
	damage(t, db, `DELETE FROM outbox WHERE key = $1`, stranded.ID)
	damage(t, db, `INSERT INTO outbox (key, kind, payload) SELECT gen_random_uuid(), 'CHARGE', '' WHERE $1 <> ''`,
		pending.ID) // of no order
	for _, test := range []struct {
		filter orderdb.Filter
		want   []string
	}{
		{orderdb.Filter{Status: order.Pending}, []string{pending.ID}},
		{orderdb.Filter{Status: order.Cancelling}, []string{cancelling.ID}},
		{orderdb.Filter{CustomerID: "alice", Status: order.Pending}, []string{stranded.ID, pending.ID}},
	} {
		if diff := cmp.Diff(test.want, list(t, s, test.filter, "", 10)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.filter, diff)
		}
	}
}

// Whoever pages through the orders while others are made sees each of those that were there in the beginning once.
func TestPagesDoNotShiftWhileOrdersAreAdded(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	var want []string
	for range 10 {
		want = append(want, place(t, s, newOrder()).ID)
	}
	slices.Reverse(want)

	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page := list(t, s, orderdb.Filter{CustomerID: "alice"}, after, 3)
		got = append(got, page...)
		if len(page) < 3 {
			break
		}
		place(t, s, newOrder())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the pages (-want +got):\n%s", diff)
	}
}
