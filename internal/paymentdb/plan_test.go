package paymentdb_test

import (
	"fmt"
	"testing"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// plan is a node of a plan as it was executed.
type plan struct {
	Node     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Crossed  float64 `json:"Rows Removed by Join Filter"`
	Plans    []plan
}

// did adds up how many rows a plan has read of the tables, how many pairs of rows its joins looked at in vain, and how
// often it went through a table from its beginning.
func (p plan) did() (read, crossed float64, scans int) {
	if p.Node != "ModifyTable" && (p.Relation == "payments" || p.Relation == "ledger") {
		read = (p.Rows + p.Removed) * p.Loops
		if p.Node == "Seq Scan" {
			scans = 1
		}
	}
	crossed = p.Crossed * p.Loops
	for _, child := range p.Plans {
		r, c, s := child.did()
		read, crossed, scans = read+r, crossed+c, scans+s
	}
	return read, crossed, scans
}

// planned is a Store, and the plans by which its statements, and the triggers', were executed since they were asked for
// last: the server tells them.
func planned(t *testing.T, db *pgtest.Database) (*paymentdb.Store, func() []plan) {
	t.Helper()
	pool, plans := pgtest.Explained[plan](t, db)
	return paymentdb.New(pool), plans
}

// Statements are planned once for a connection, when its tables were empty and had been analyzed, say; so are those of
// triggers. They are right for tables that are full, and for batches: none goes through a table, or through a batch for
// each row of it.
func TestAPlanForEmptyTablesIsRightForFullOnes(t *testing.T) {
	t.Parallel()
	for _, first := range []int{1, 200} { // a transition table is planned for as many rows as it has
		for _, statistics := range []string{"SELECT 1", "ANALYZE payments; ANALYZE ledger"} {
			t.Run(fmt.Sprint(first, " ", statistics), func(t *testing.T) { plansStayRight(t, first, statistics) })
		}
	}
}

// plansStayRight makes plans for empty tables and a number of commands, and holds them against full tables.
func plansStayRight(t *testing.T, first int, statistics string) {
	t.Parallel()
	db := pgtest.Payments(t)
	_, err := db.Pool.Exec(t.Context(), `
		ALTER TABLE payments SET (autovacuum_enabled = false);
		ALTER TABLE ledger SET (autovacuum_enabled = false);`+statistics)
	if err != nil {
		t.Fatal(err)
	}
	const batch = 200
	store, plans := planned(t, db)
	// What one client does: new charges, those and others again, all of them voided, and looked up.
	use := func(n int, check func(what string)) {
		known := chargeNew(t, store, n)
		check("charging")
		charges := approvals(n)
		for i, r := range known[:(n+1)/2] {
			charges[i] = approved(r)
		}
		do(t, n, func() ([]paymentdb.Result, error) { return store.Charge(t.Context(), charges) })
		check("charging, half of it again")
		do(t, n, func() ([]paymentdb.Result, error) { return store.Void(t.Context(), known) })
		check("voiding")
		do(t, n, func() ([]paymentdb.Result, error) { return store.Lookup(t.Context(), known) })
		check("looking up")
	}
	use(first, func(string) {})
	for range 20 {
		chargeNew(t, paymentdb.New(db.Pool), batch)
	}
	bounded := func(what string) {
		t.Helper()
		executed := plan{Plans: plans()}
		if len(executed.Plans) == 0 {
			t.Errorf("%s: got no plan", what)
		}
		read, crossed, scans := executed.did()
		if read > 4*batch || crossed > 2*batch || scans > 0 {
			t.Errorf("%s: got %.0f rows read, %.0f pairs of rows that did not belong together, and %d ways through "+
				"a whole table; want %d and %d at most, and none", what, read, crossed, scans, 4*batch, 2*batch)
		}
	}
	plans()
	use(batch, bounded)
	if _, err := db.Pool.Exec(t.Context(), `ANALYZE payments; ANALYZE ledger`); err != nil {
		t.Fatal(err)
	}
	use(batch, bounded) // planned anew
	checkBooks(t, db.Pool)
}

// approvals are n new charges that the network approves.
func approvals(n int) []payment.Authorisation {
	charges := make([]payment.Authorisation, n)
	for i := range charges {
		charges[i] = approved(newRequest())
	}
	return charges
}

// chargeNew charges n new payments together, and returns what they were asked as.
func chargeNew(t *testing.T, store *paymentdb.Store, n int) []payment.Request {
	t.Helper()
	charges := approvals(n)
	do(t, n, func() ([]paymentdb.Result, error) { return store.Charge(t.Context(), charges) })
	requests := make([]payment.Request, n)
	for i, c := range charges {
		requests[i] = c.Request
	}
	return requests
}

// do wants n results without an error.
func do(t *testing.T, n int, operation func() ([]paymentdb.Result, error)) {
	t.Helper()
	results, err := operation()
	if err != nil || len(results) != n {
		t.Fatalf("got %d results, error %v; want %d", len(results), err, n)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatalf("got %v, want a payment", r.Err)
		}
	}
}
