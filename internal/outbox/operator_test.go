package outbox

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hosho/internal/pgtest"
)

func TestRetryMakesAMessageDueUnlessAWorkerHoldsIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, prepare string
		due           bool
	}{
		{"parked", `UPDATE outbox SET parked_at = clock_timestamp(), ready_at = 'infinity'`, true},
		{"waiting", `UPDATE outbox SET ready_at = 'infinity'`, true},
		{"held", `UPDATE outbox SET ready_at = 'infinity', lease_token = gen_random_uuid()`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			m, other := hello(), hello()
			put(t, db, m, other, goodbye(m.Key))
			exec(t, db, test.prepare)
			found, err := queue(db).Retry(t.Context(), m.Key, m.Kind)
			if err != nil || !found {
				t.Fatalf("got found %v, error %v", found, err)
			}
			for _, r := range rows(t, db) {
				if want := test.due && r.Key == m.Key && r.Kind == m.Kind; r.Due != want || want && r.Parked {
					t.Errorf("the %s of %s: got due %v, parked %v, want due %v", r.Kind, r.Key, r.Due, r.Parked, want)
				}
			}
		})
	}
}

func TestRetryOfNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	put(t, db, m)
	for _, unknown := range []New{goodbye(m.Key), hello()} {
		if found, err := queue(db).Retry(t.Context(), unknown.Key, unknown.Kind); err != nil || found {
			t.Errorf("the %s of %s: got found %v, error %v, want none", unknown.Kind, unknown.Key, found, err)
		}
	}
}

func TestParkedListsWhatNeedsAPerson(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(6)...)
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp(), last_code = 'RUDE', attempts = 2 WHERE id IN (2, 5)`)
	exec(t, db, `UPDATE outbox SET last_code = 'RUDE' WHERE id = 3`)
	exec(t, db, `UPDATE outbox SET last_code = 'BUSY' WHERE id = 4`)
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id = 6`) // by hand, without a code
	list := func(after int64, limit int) (ids []int64) {
		t.Helper()
		waiting, err := queue(db).Parked(t.Context(), []string{"RUDE", "CRUDE"}, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range waiting {
			ids = append(ids, w.ID)
			if parked := w.ID != 3; (w.ParkedAt != nil) != parked {
				t.Errorf("message %d: got parked at %v, want parked %v", w.ID, w.ParkedAt, parked)
			}
		}
		return ids
	}
	if diff := cmp.Diff([]int64{2, 3, 5, 6}, list(0, 10)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{3, 5}, list(2, 2)); diff != "" {
		t.Errorf("two after the first (-want +got):\n%s", diff)
	}
	if got := list(6, 10); got != nil {
		t.Errorf("after the last: got %v", got)
	}
}

func TestBacklogCountsEachMessageOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	backlog := func() Backlog {
		t.Helper()
		b, err := queue(db).Backlog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if diff := cmp.Diff(Backlog{}, backlog()); diff != "" {
		t.Errorf("empty (-want +got):\n%s", diff)
	}
	put(t, db, hellos(6)...)
	exec(t, db, `UPDATE outbox SET ready_at = 'infinity' WHERE id IN (1, 2)`)
	exec(t, db, `UPDATE outbox SET lease_token = $1, ready_at = 'infinity' WHERE id = 2`, uuid.NewString())
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id = 3`)
	exec(t, db, `UPDATE outbox SET created_at = clock_timestamp() - interval '1 hour' WHERE id = 4`)
	got := backlog()
	if got.OldestAge == nil || *got.OldestAge < time.Hour || *got.OldestAge > 2*time.Hour {
		t.Errorf("got oldest age %v, want an hour", got.OldestAge)
	}
	got.OldestAge = nil
	if diff := cmp.Diff(Backlog{Due: 3, Waiting: 2, Parked: 1}, got); diff != "" {
		t.Errorf("backlog (-want +got):\n%s", diff)
	}
}
