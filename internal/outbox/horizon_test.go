package outbox

import (
	"testing"
	"time"

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
	wants(true, 8*time.Second)
	for range 10 {
		d.unfinished(now, true)
		now = now.Add(dearMost)
	}
	wants(true, longestLook)
	d.looked(now, time.Millisecond)
	wants(true, 3*time.Second)
	d.unfinished(now, false) // no horizon is known, and nothing else can be done
	wants(true, 6*time.Second)
}

// A horizon is before all that may be claimed, and before what is committed late.
func TestNothingThatMayBeClaimedIsBeforeTheHorizon(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	for name, test := range map[string]struct {
		next *float64
		want time.Time
	}{
		"nothing":      {nil, at.Add(-lookBack)},
		"due later":    {new(5.), at.Add(-lookBack)},
		"due lately":   {new(-2.), at.Add(-lookBack)},
		"due for long": {new(-100.), at.Add(-100*time.Second - time.Millisecond)},
	} {
		if got := (Sight{At: at, Next: test.next}).horizon(true); !got.Equal(test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	if got := (Sight{At: at}).horizon(false); got != nil {
		t.Errorf("got a horizon of %v where looks are cheap, want none", got)
	}
}

// Looks are dear. What was written an hour ago and is committed only now, and what its worker has left behind, lies
// before the horizon: the next look at everything finds both, and nobody wakes the worker.
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
