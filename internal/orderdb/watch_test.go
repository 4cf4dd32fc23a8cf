package orderdb_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
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

	none := uuid.NewString()
	seen := []orderdb.Seen{
		{same.ID, order.Pending},
		{none, ""},
		{changed.ID, order.Pending},
		{fresh.ID, ""},
		{uuid.NewString(), order.Pending},
	}
	want := orderdb.News{Orders: []order.Order{changed, fresh}, Missing: []string{none}}
	if diff := cmp.Diff(want, told(t, s.Watched, seen)); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	if got := queries.count.Load(); got != 1 {
		t.Errorf("got %d queries, want 1", got)
	}
	for i, o := range want.Orders {
		want.Orders[i] = order.Order{
			ID: o.ID, Status: o.Status, CancelReason: o.CancelReason,
			UpdatedAt: o.UpdatedAt, CompletedAt: o.CompletedAt,
		}
	}
	inOrder := cmpopts.SortSlices(func(a, b order.Order) bool { return a.ID < b.ID })
	if diff := cmp.Diff(want, told(t, s.Progress, seen), inOrder); diff != "" {
		t.Errorf("their progress (-want +got):\n%s", diff)
	}
}

// Orders that were placed together are read together, and nobody is told of one that lies between them. A pooler may
// know no prepared statements; then pgx goes by the types of the arguments.
func TestProgressOfSomeThatWerePlacedTogether(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	news := together(40)
	placeAll(t, orderdb.New(db.Pool, command.Encode), news...)
	var seen []orderdb.Seen
	var want []string
	for i, n := range news {
		if i%2 == 1 {
			settle(t, db.Pool, n.ID, order.Pending, order.Completed)
		}
		if i%4 < 2 {
			seen = append(seen, orderdb.Seen{ID: n.ID, Status: order.Pending})
		}
		if i%4 == 1 {
			want = append(want, n.ID)
		}
	}
	slices.Reverse(seen)
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		config := db.Pool.Config()
		config.ConnConfig.DefaultQueryExecMode = mode
		var got []string
		for _, o := range told(t, orderdb.New(poolOf(t, config), command.Encode).Progress, seen).Orders {
			got = append(got, o.ID)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: orders (-want +got):\n%s", mode, diff)
		}
	}
}

func TestWatchedOfNothingIsNothing(t *testing.T) {
	t.Parallel()
	s, _ := traced(t, pgtest.Orders(t))
	if got := told(t, s.Watched, nil); len(got.Orders)+len(got.Missing) != 0 {
		t.Errorf("got %v, want nothing", got)
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
	seen, times := make([]orderdb.Seen, len(ids)), map[string]int{}
	for i, id := range ids {
		if seen[i].ID = id; i%5 == 4 {
			seen[i].Status = order.Pending
		}
	}
	s, _ := traced(t, db)
	err = s.Watched(t.Context(), seen, func(told orderdb.News) {
		if len(told.Orders) > most || len(told.Missing) > 0 {
			t.Errorf("got %d orders at once, and %q are missing; want %d at most", len(told.Orders), told.Missing, most)
		}
		for _, o := range told.Orders {
			times[o.ID]++
		}
	})
	if err != nil || len(times) != all*4/5 {
		t.Errorf("got %d orders, error %v; want %d", len(times), err, all*4/5)
	}
	if got := len(told(t, s.Progress, slices.Clone(seen)).Orders); got != all*4/5 {
		t.Errorf("got the progress of %d orders, want %d", got, all*4/5)
	}
	for _, one := range seen {
		if one.Status == "" != (times[one.ID] == 1) || times[one.ID] > 1 {
			t.Errorf("order %s, seen %q: got it %d times", one.ID, one.Status, times[one.ID])
		}
	}
}

// told gathers what a method tells.
func told(
	t *testing.T, method func(context.Context, []orderdb.Seen, func(orderdb.News)) error, seen []orderdb.Seen,
) (all orderdb.News) {
	t.Helper()
	err := method(t.Context(), seen, func(told orderdb.News) {
		all.Orders = append(all.Orders, told.Orders...)
		all.Missing = append(all.Missing, told.Missing...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
