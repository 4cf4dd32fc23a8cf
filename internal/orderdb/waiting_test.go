package orderdb_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// aged moves an order's times and its command's, which no program may.
func aged(t *testing.T, db *pgtest.Database, id string, by time.Duration) {
	t.Helper()
	execute(t, db, `ALTER TABLE orders DISABLE TRIGGER USER`)
	_, err := db.Pool.Exec(t.Context(), `
		WITH older AS (
			UPDATE outbox SET created_at = created_at - $2::interval WHERE key = $1
		)
		UPDATE orders
		SET created_at = created_at - $2::interval,
			updated_at = updated_at - $2::interval,
			deadline_at = deadline_at - $2::interval
		WHERE id = $1`, id, by)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, db, `ALTER TABLE orders ENABLE TRIGGER USER`)
}

// Each cause on real rows, between orders that have none, page by page.
func TestStuckListsEachWhy(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	long := order.StuckAfter + time.Minute
	set := func(change string) func(string) {
		return func(id string) {
			if _, err := db.Pool.Exec(t.Context(), `UPDATE outbox SET `+change+` WHERE key = $1`, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	older := func(by time.Duration) func(string) { return func(id string) { aged(t, db, id, by) } }
	both := func(a, b func(string)) func(string) { return func(id string) { a(id); b(id) } }
	tests := []struct {
		status order.Status
		make   func(id string)
		want   order.Why
	}{
		{order.Pending, set(`claims = 99, attempts = 4`), order.NeedsNoPerson},
		{order.Pending, set(`parked_at = clock_timestamp(), last_code = 'KEY_REUSED'`), order.Parked},
		{order.Pending, older(long), order.NeedsNoPerson}, // it has not been tried: its deadline has just passed
		{order.Pending, older(15*time.Minute + long), order.Overdue},
		{order.Pending, both(older(long), set(`attempts = 1`)), order.Undecided},
		{order.Pending, set(`claims = 100`), order.TriedInVain},
		{order.Cancelling, older(order.StuckAfter - time.Minute), order.NeedsNoPerson},
		{order.Cancelling, older(long), order.Undecided},
		{order.Cancelling, set(`last_code = 'KEY_REUSED'`), order.InConflict},
	}
	want, got := []order.Why{}, []order.Why{}
	for _, tt := range tests {
		o := placed(t, db, tt.status)
		execute(t, db, `
			DELETE FROM outbox
			WHERE kind = 'CHARGE' AND key IN (SELECT id FROM orders WHERE status = 'CANCELLING')`)
		tt.make(o.ID)
		if tt.want != order.NeedsNoPerson {
			want = append(want, tt.want)
		}
	}
	add(t, db, uuid.NewString(), order.Void)
	want = append(want, order.Unwanted)

	after := int64(0)
	for {
		page, rest, err := s.Stuck(t.Context(), order.StuckAfter, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range page {
			got = append(got, w.Why(order.StuckAfter))
		}
		if after = rest; rest == 0 {
			break
		}
		if len(page) != 2 || page[1].ID != rest {
			t.Errorf("got a page of %d and the rest after %d, want 2 and the last of them", len(page), rest)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
}
