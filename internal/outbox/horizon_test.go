package outbox

import (
	"errors"
	"testing"
	"time"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// As long as a look at everything is cheap, each is one. A dear one is followed by others, and comes again.
func TestLooksGoAsFarAsIsCheap(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	d := newDistance(3*time.Second, dear)
	wants := func(everything bool, within time.Duration) {
		t.Helper()
		if e, w := d.next(now); e != everything || w != within {
			t.Errorf("got everything %v within %v, want %v within %v", e, w, everything, within)
		}
	}
	wants(true, 3*time.Second)
	if d.looked(now, dear-1) {
		t.Error("got a dear look, want a cheap one")
	}
	wants(true, 3*time.Second)
	if d.looked(now, 2*time.Second) {
		t.Error("got dear looks after one that was slow, want two")
	}
	if !d.looked(now, 2*time.Second) {
		t.Error("got a cheap look, want a dear one")
	}
	wants(false, 3*time.Second)
	now = now.Add(dearPatience * 2 * time.Second)
	wants(true, 4*time.Second)
	d.unfinished(now, true)
	wants(false, 3*time.Second)
	now = now.Add(dearPatience * 4 * time.Second)
	wants(true, 16*time.Second)
	for range 10 {
		d.unfinished(now, true)
		now = now.Add(dearMost)
	}
	wants(true, longestLook)
	d.looked(now, time.Millisecond)
	wants(true, 3*time.Second)
	d.unfinished(now, false) // no horizon is known, and nothing else can be done
	wants(true, 12*time.Second)
}

// The server ends what takes longer than a statement usually may. A look at everything gets more: once none ended while
// more was dead than can be passed over in that time, and what lay before the horizon was found by nobody.
func TestADearLookMayTakeLongerThanAnyStatement(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	pool, err := pg.Open(t.Context(), pg.Config{
		URL: db.URL, Application: "test", MaxConns: 2, StatementTimeout: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	g := newGreeter(t, db)
	put(t, db, hello())
	w := newWorker(db, restless(), g)
	w.queue.pool = pool
	all, d := Workers{w}, newDistance(w.config.SettleTimeout, w.dear)
	locker, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locker.Exec(t.Context(), `LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	if _, err := all.sights(t.Context(), d); !errors.Is(err, pg.ErrBusy) {
		t.Errorf("an ordinary look: got %v, want %v", err, pg.ErrBusy)
	}
	looked := make(chan error)
	go func() {
		_, err := all.sights(t.Context(), d)
		looked <- err
	}()
	eventually(t, "a look that waits for longer", func() bool {
		return number(t, db, `
			SELECT count(*) FROM pg_stat_activity
			WHERE application_name = 'test' AND datname = current_database()
				AND wait_event_type = 'Lock' AND query_start < now() - interval '50 ms'`) > 0
	})
	if err := locker.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-looked; err != nil {
		t.Errorf("a patient look: got %v, want it done", err)
	}
}

// A horizon is before all that may be claimed, now or when its worker has died, and before what is committed late.
func TestNothingThatMayBeClaimedIsBeforeTheHorizon(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	for _, tt := range []struct {
		prepare string
		behind  time.Duration // where the horizon is to be
	}{
		{``, lookBack},
		{`ready_at = clock_timestamp() + interval '1 hour'`, lookBack},
		{`ready_at = 'infinity'`, lookBack},
		{`ready_at = clock_timestamp() - interval '1 second'`, lookBack},
		{`ready_at = clock_timestamp() - interval '1 hour', parked_at = now()`, lookBack},
		{`ready_at = clock_timestamp() - interval '1 hour'`, time.Hour},
		{`ready_at = clock_timestamp() - interval '1 hour', claims = 3`, time.Hour},
		{`ready_at = clock_timestamp() - interval '1 hour', lease_token = key, leased_until = 'infinity'`, time.Hour},
	} {
		exec(t, db, `DELETE FROM outbox`)
		if tt.prepare != "" {
			put(t, db, hello())
			exec(t, db, `UPDATE outbox SET `+tt.prepare)
		}
		sights, err := greetings.Look(t.Context(), db.Pool, time.Hour, false, "HELLO")
		if err != nil {
			t.Fatal(err)
		}
		behind := sights[0].At.Sub(*sights[0].horizon(true))
		if behind < tt.behind || behind > tt.behind+longWait {
			t.Errorf("%q: got a horizon %s behind the look, want %s", tt.prepare, behind, tt.behind)
		}
		if got := sights[0].horizon(false); got != nil {
			t.Errorf("%q: got a horizon of %v where looks are cheap, want none", tt.prepare, got)
		}
	}
}

// Looks are dear. What was written an hour ago and is committed only now lies before the horizon, free or held by a
// worker that is gone: the next look at everything finds both, and nobody wakes the worker.
func TestWhatComesBehindTheHorizonIsFound(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	w := newWorker(db, restless(), g)
	w.dear = 0
	start(t, w)
	for n := range 5 {
		eventually(t, "a horizon", func() bool { return w.horizon.Load() != nil })
		g.meetLate(t, db, hello())
		eventually(t, "the late one's greeting", func() bool { return people(t, db, "HAPPY") == 2*n+1 })
		left := hello()
		exec(t, db, `INSERT INTO greeted (key) VALUES ($1)`, left.Key)
		exec(t, db, `
			INSERT INTO outbox (key, kind, payload, ready_at, claims, lease_token, leased_until)
			VALUES ($1, $2, $3, clock_timestamp() - interval '1 hour', 1, gen_random_uuid(),
				clock_timestamp() + interval '50 ms')`, left.Key, left.Kind, left.Payload)
		eventually(t, "the other one's greeting", func() bool { return people(t, db, "HAPPY") == 2*n+2 })
	}
}
