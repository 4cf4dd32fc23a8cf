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
