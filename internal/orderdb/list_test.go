package orderdb_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// list returns the ids of a page.
func list(t *testing.T, s *orderdb.Store, f orderdb.Filter, after string, limit int) []string {
	t.Helper()
	orders, err := s.List(t.Context(), f, after, limit)
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

// The plans that List promises, read from the server for the statement as List sends it. A page is found by its index
// from the page's beginning, and what is switched off in the filter leaves no trace.
func TestListReadsItsPageFromAnIndex(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	_, err := db.Pool.Exec(t.Context(), `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		SELECT gen_random_uuid(), 'customer-' || n % 20, '[{}]', 1, 'JPY', clock_timestamp()
		FROM generate_series(1, 20000) AS n`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool.Exec(t.Context(), `ANALYZE orders`); err != nil {
		t.Fatal(err)
	}
	const middle = "80000000-0000-4000-8000-000000000000"
	tests := []struct {
		filter orderdb.Filter
		after  string
		index  string
		cond   string
	}{
		{orderdb.Filter{}, "", "orders_pkey", ""},
		{orderdb.Filter{}, middle, "orders_pkey", "(id < '" + middle + "'::uuid)"},
		{orderdb.Filter{Status: order.Pending}, middle, "orders_pkey", "(id < '" + middle + "'::uuid)"},
		{orderdb.Filter{CustomerID: "customer-7"}, "", "orders_by_customer", "(customer_id = 'customer-7'::text)"},
		{
			orderdb.Filter{CustomerID: "customer-7", Status: order.Pending},
			middle, "orders_by_customer",
			"((customer_id = 'customer-7'::text) AND (id < '" + middle + "'::uuid))",
		},
	}
	for _, test := range tests {
		s, queries := traced(t, db)
		list(t, s, test.filter, test.after, 51)
		plan := explain(t, db, queries.last.Load())
		bounded := strings.Contains(plan, "Index Cond: "+test.cond)
		if !strings.Contains(plan, test.index) || bounded != (test.cond != "") {
			t.Errorf("%+v after %q: got this plan, want %s with the condition %q\n%s",
				test.filter, test.after, test.index, test.cond, plan)
		}
		if strings.Contains(plan, "Sort") || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%+v after %q: got a plan that reads more than its page:\n%s", test.filter, test.after, plan)
		}
	}
}

// explain returns the plan of a query, made for its arguments as the query's own was.
func explain(t *testing.T, db *pgtest.Database, query *pgx.TraceQueryStartData) string {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `EXPLAIN `+query.SQL, query.Args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
