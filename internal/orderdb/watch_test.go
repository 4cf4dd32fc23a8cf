package orderdb_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hosho/internal/order"
	"hosho/internal/pgtest"
)

func TestWatchedAnswersWhatHasChangedWithOneQuery(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	same, changed := placed(t, db, order.Pending), placed(t, db, order.Completed)
	fresh := placed(t, db, order.Cancelling)
	placed(t, db, order.Cancelled) // watched by nobody
	s, queries := traced(t, db)

	got, err := s.Watched(t.Context(), map[string]order.Status{
		same.ID:          order.Pending,
		changed.ID:       order.Pending,
		fresh.ID:         "",
		uuid.NewString(): order.Pending,
	})
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]order.Order{}
	for _, o := range got {
		byID[o.ID] = o
	}
	if diff := cmp.Diff(map[string]order.Order{changed.ID: changed, fresh.ID: fresh}, byID); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	if got := queries.count.Load(); got != 1 {
		t.Errorf("got %d queries, want 1", got)
	}
}

func TestWatchedOfNothingIsNothing(t *testing.T) {
	t.Parallel()
	s, _ := traced(t, pgtest.Orders(t))
	got, err := s.Watched(t.Context(), nil)
	if err != nil || len(got) != 0 {
		t.Errorf("got %d orders, error %v; want none", len(got), err)
	}
}
