package outbox

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"hosho/internal/pgtest"
)

// A message is in one state, kinds that there are none of have their zeros, and what is beyond the limit is not looked
// at.
func TestATallyCountsEachMessageOnceAndUpToALimit(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	tally := func(most int) []Tally {
		t.Helper()
		found, err := greetings.Tally(t.Context(), db.Pool, most, "HELLO", "GOODBYE")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if diff := cmp.Diff([]Tally{{Kind: "GOODBYE"}, {Kind: "HELLO"}}, tally(100)); diff != "" {
		t.Errorf("empty (-want +got):\n%s", diff)
	}
	put(t, db, hellos(10)...)
	hold := `UPDATE outbox SET lease_token = $1, leased_until = clock_timestamp() + $2::interval WHERE id = $3`
	exec(t, db, hold, uuid.NewString(), time.Hour, 1)
	exec(t, db, hold, uuid.NewString(), -time.Hour, 2) // whose worker has died
	exec(t, db, `UPDATE outbox SET lease_token = $1, ready_at = 'infinity' WHERE id = 3`, uuid.NewString())
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() + interval '1 minute' WHERE id IN (4, 5)`)
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id IN (6, 7, 8)`)
	exec(t, db, `UPDATE outbox SET created_at = clock_timestamp() - interval '1 hour' WHERE id = 8`)

	got := tally(100)
	want := []Tally{{Kind: "GOODBYE"}, {Kind: "HELLO", Due: 3, Leased: 2, Waiting: 2, Parked: 3}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Tally{}, "Oldest")); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if got[0].Oldest != 0 || got[1].Oldest < time.Hour || got[1].Oldest > 2*time.Hour {
		t.Errorf("got %v and %v as the oldest, want 0 and an hour", got[0].Oldest, got[1].Oldest)
	}
	want = []Tally{{Kind: "GOODBYE"}, {Kind: "HELLO", Due: 1, Leased: 1, Waiting: 2, Parked: 2}}
	if diff := cmp.Diff(want, tally(2), cmpopts.IgnoreFields(Tally{}, "Oldest")); diff != "" {
		t.Errorf("two of each (-want +got):\n%s", diff)
	}
}

// The statistics tell of dead rows some time after they have died: what is told is what they say.
func TestDeadTuplesAreWhatTheStatisticsSay(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	exec(t, db, `ALTER TABLE outbox SET (autovacuum_enabled = false)`)
	put(t, db, hellos(10)...)
	exec(t, db, `DELETE FROM outbox WHERE id <= 7`)
	for {
		got, err := greetings.DeadTuples(t.Context(), db.Pool)
		if err != nil {
			t.Fatal(err)
		}
		if got == 7 {
			return
		}
	}
}
