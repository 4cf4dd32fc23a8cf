package paymentdb_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// trusts returns which orders database is trusted, "" for none, after one is told.
func trusts(t *testing.T, s *paymentdb.Store, told string) string {
	t.Helper()
	found, err := s.TrustOrders(t.Context(), told)
	if err != nil {
		t.Fatal(err)
	}
	if found.Orders == nil {
		return ""
	}
	return *found.Orders
}

// The first orders database that a paymentd meets is the one, also for all others, with the rights that they need.
func TestTheFirstOrdersDatabaseIsTrusted(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	s := paymentdb.New(db.As(t, paymentdb.Needs()).Pool)
	if got := trusts(t, s, ""); got != "" {
		t.Errorf("told none: got %s trusted, want none", got)
	}
	met := make([]string, 8)
	var all sync.WaitGroup
	for i := range met {
		all.Go(func() { met[i] = trusts(t, s, uuid.NewString()) })
	}
	all.Wait()
	for _, got := range met {
		if got == "" || got != met[0] {
			t.Errorf("got %s and %s trusted, want one", met[0], got)
		}
	}
	is, err := s.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found, err := s.TrustOrders(t.Context(), ""); err != nil || found.ID != is.ID {
		t.Errorf("its own identity: got %s, %v, want %s", found.ID, err, is.ID)
	}
}

// Another one is a person's decision, which is kept.
func TestAnotherOrdersDatabaseIsAccepted(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	s := paymentdb.New(db.As(t, paymentdb.Needs()).Pool)
	first, second := uuid.NewString(), uuid.NewString()
	accept := func(id, wantFrom string, wantChanged bool) {
		t.Helper()
		accept := paymentdb.Acceptance{ID: id, Operator: "ada", Reason: "moved"}
		from, changed, err := s.AcceptOrders(t.Context(), accept)
		got := ""
		if from != nil {
			got = *from
		}
		if err != nil || changed != wantChanged || got != wantFrom {
			t.Errorf("accept %s: got from %q, changed %v, %v; want %q, %v",
				id, got, changed, err, wantFrom, wantChanged)
		}
		if got := trusts(t, s, uuid.NewString()); got != id {
			t.Errorf("accepted %s: got %s trusted", id, got)
		}
	}
	accept(first, "", true) // before any was met
	accept(first, "", false)
	accept(second, first, true)
	var decisions int
	err := db.Pool.QueryRow(t.Context(), `
		SELECT count(*) FROM orders_database_audit
		WHERE operator = 'ada' AND reason = 'moved' AND from_id IS DISTINCT FROM to_id`).Scan(&decisions)
	if err != nil || decisions != 2 {
		t.Errorf("audit: got %d decisions, %v, want 2", decisions, err)
	}
}
