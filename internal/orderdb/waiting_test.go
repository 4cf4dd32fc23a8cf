package orderdb_test

import (
	"fmt"
	"slices"
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

// listed returns what Commands tells of a kind, all pages of two together.
func listed(t *testing.T, s *orderdb.Store, kind order.Command) (all []orderdb.Waiting) {
	t.Helper()
	for after := int64(0); ; {
		page, rest, err := s.Commands(t.Context(), kind, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if after = rest; rest == 0 {
			return all
		}
		if len(page) != 2 || page[1].ID != rest {
			t.Errorf("got a page of %d and the rest after %d, want 2 and the last of them", len(page), rest)
		}
	}
}

// Whatever a command waits for, it is listed, the oldest first, with what is known of its order.
func TestCommandsListsAllThatIsUnderWay(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	s := orderdb.New(db.Pool, command.Encode)
	set := func(id, change string) string {
		t.Helper()
		if _, err := db.Pool.Exec(t.Context(), `UPDATE outbox SET `+change+` WHERE key = $1`, id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	due := placed(t, db, order.Pending)
	parked := set(placed(t, db, order.Pending).ID, `parked_at = clock_timestamp(), last_code = 'KEY_REUSED'`)
	leased := set(placed(t, db, order.Pending).ID,
		`lease_token = gen_random_uuid(), leased_until = clock_timestamp() + interval '1 minute'`)
	alone := set(placed(t, db, order.Pending).ID, `claims = 7, answers = 4`)
	cancelling := placed(t, db, order.Cancelling).ID // with its CHARGE, which the VOID supersedes
	missing := uuid.NewString()
	add(t, db, missing, order.Void)
	if o, _, err := s.Commands(t.Context(), "", 0, 1); err != nil || o[0].Status == nil ||
		*o[0].AmountMinor != due.AmountMinor || *o[0].Currency != due.Currency {
		t.Errorf("got %+v, error %v; want the order's status and its total", o, err)
	}

	tell := func(all []orderdb.Waiting) (told []string) {
		for _, w := range all {
			status := "no order"
			if w.Status != nil {
				status = string(*w.Status)
			}
			told = append(told, fmt.Sprint(w.OrderID, " ", w.Kind, ", ", status,
				", parked ", w.ParkedAt != nil, ", leased ", w.Leased, ", alone ", w.Alone))
		}
		return told
	}
	charges := []string{
		due.ID + " CHARGE, PENDING, parked false, leased false, alone false",
		parked + " CHARGE, PENDING, parked true, leased false, alone false",
		leased + " CHARGE, PENDING, parked false, leased true, alone false",
		alone + " CHARGE, PENDING, parked false, leased false, alone true",
		cancelling + " CHARGE, CANCELLING, parked false, leased false, alone false",
	}
	voids := []string{
		cancelling + " VOID, CANCELLING, parked false, leased false, alone false",
		missing + " VOID, no order, parked false, leased false, alone false",
	}
	for kind, want := range map[order.Command][]string{
		"": slices.Concat(charges, voids), order.Charge: charges, order.Void: voids,
	} {
		if diff := cmp.Diff(want, tell(listed(t, s, kind))); diff != "" {
			t.Errorf("commands of kind %q (-want +got):\n%s", kind, diff)
		}
	}
}
