package orderdb_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

func TestWatchedAnswersWhatHasChangedWithOneQuery(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	same, changed := placed(t, db, order.Pending), placed(t, db, order.Completed)
	fresh := placed(t, db, order.Cancelling)
	placed(t, db, order.Cancelled) // watched by nobody
	s, queries := traced(t, db)

	byID := watched(t, s, map[string]order.Status{
		same.ID:          order.Pending,
		changed.ID:       order.Pending,
		fresh.ID:         "",
		uuid.NewString(): order.Pending,
	})
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
	if got := watched(t, s, nil); len(got) != 0 {
		t.Errorf("got %d orders, want none", len(got))
	}
}

// Each of many is told once, and few at a time: all of them at once may be as large as memory is.
func TestWatchedTellsOfFewOrdersAtATime(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	const all, most = 2500, 100
	execute(t, db, `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		SELECT gen_random_uuid(), 'alice', '[{}]', 1, 'JPY', clock_timestamp()
		FROM generate_series(1, 2500)`)
	rows, err := db.Pool.Query(t.Context(), `SELECT id::text FROM orders`)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	seen, told := map[string]order.Status{}, map[string]int{}
	for i, id := range ids {
		if seen[id] = ""; i%5 == 4 {
			seen[id] = order.Pending
		}
	}
	s, _ := traced(t, db)
	err = s.Watched(t.Context(), seen, func(orders []order.Order) {
		if len(orders) > most {
			t.Errorf("got %d orders at once, want %d at most", len(orders), most)
		}
		for _, o := range orders {
			told[o.ID]++
		}
	})
	if err != nil || len(told) != all*4/5 {
		t.Errorf("got %d orders, error %v; want %d", len(told), err, all*4/5)
	}
	for id, times := range told {
		if times != 1 || seen[id] != "" {
			t.Errorf("order %s, seen %q: got it %d times", id, seen[id], times)
		}
	}
}

func watched(t *testing.T, s *orderdb.Store, seen map[string]order.Status) map[string]order.Order {
	t.Helper()
	byID := map[string]order.Order{}
	err := s.Watched(t.Context(), seen, func(orders []order.Order) {
		for _, o := range orders {
			byID[o.ID] = o
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return byID
}
