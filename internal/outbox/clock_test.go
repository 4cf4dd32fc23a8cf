package outbox

import (
	"testing"
	"time"

	"hosho/internal/pgtest"
)

// setBack is as if the database's clock had been set back: what was written lies ahead by so much.
func setBack(t testing.TB, db *pgtest.Database, by time.Duration) {
	t.Helper()
	exec(t, db, `
		UPDATE outbox
		SET ready_at = ready_at + $1::interval, created_at = created_at + $1::interval,
			leased_until = leased_until + $1::interval`, by)
}

// The clock is set back by hours, while messages are due, wait, are claimed and parked. Within the longest wait of the
// clock that is, all are delivered but the parked one, which waits for a person. Nothing is older than its birth.
func TestAClockThatIsSetBackDelaysNothingForLong(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.meet(t, db, hellos(8)...)
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() + interval '1 second' WHERE id IN (1, 2)`)
	exec(t, db, `UPDATE outbox SET lease_token = gen_random_uuid(), claims = 1 WHERE id IN (3, 4)`)
	exec(t, db, `UPDATE outbox SET claims = 5 WHERE id = 5`) // to be delivered alone
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id = 8`)
	setBack(t, db, 5*time.Hour)
	backlog, err := greetings.Backlog(t.Context(), db.Pool)
	if err != nil || len(backlog) != 1 || backlog[0].OldestAge != 0 {
		t.Errorf("got backlog %+v, error %v; want an age of 0, and none below", backlog, err)
	}
	c := restless()
	c.Lease, c.LongestDelay = time.Hour, time.Hour
	start(t, newWorker(db, c, g))
	eventually(t, "all but the parked one are greeted", func() bool { return people(t, db, "HAPPY") == 7 })
	if got := rows(t, db); len(got) != 1 || !got[0].Parked {
		t.Errorf("got %+v left, want the one that is parked", got)
	}
}

// What may be a wait or a lease is left alone, and other kinds are, whatever they wait for.
func TestOnlyWhatNoWaitExplainsIsRecalled(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	m := hello()
	for _, m := range []New{m, hello(), goodbye(m.Key), hello(), hello()} {
		put(t, db, m) // so that their numbers are known
	}
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() + interval '59 minutes' WHERE id = 1`)
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() + interval '61 minutes' WHERE id = 2`)
	exec(t, db, `UPDATE outbox SET ready_at = 'infinity' WHERE id IN (3, 4)`)
	exec(t, db, `UPDATE outbox SET ready_at = 'infinity', parked_at = clock_timestamp() WHERE id = 5`)
	for _, want := range []int{1, 1, 0} { // one at a time
		if got, err := queue(db).Recall(t.Context(), time.Hour, time.Hour, 1); err != nil || got != want {
			t.Errorf("got %d recalled, error %v; want %d", got, err, want)
		}
	}
	for i, r := range rows(t, db) {
		if want := r.Kind == "HELLO" && (i == 1 || i >= 2) && !r.Parked; r.Due != want {
			t.Errorf("message %d: got due %v, want %v", i+1, r.Due, want)
		}
	}
}
