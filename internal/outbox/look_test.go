package outbox

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pgtest"
)

func TestALookSaysWhatThereIsToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare string
		due     bool // at once
		waits   bool // for some of the next hour
		late    bool
		future  bool
	}{
		"due":               {prepare: ``, due: true},
		"to go alone":       {prepare: `claims = 3`, due: true},
		"waits":             {prepare: `ready_at = clock_timestamp() + interval '59 minutes'`, waits: true},
		"held":              {prepare: `lease_token = key, leased_until = now() + interval '59 minutes'`, waits: true},
		"given back":        {prepare: `leased_until = clock_timestamp() + interval '59 minutes'`, due: true},
		"held by the dead":  {prepare: `lease_token = key, leased_until = clock_timestamp()`, due: true},
		"parked":            {prepare: `parked_at = clock_timestamp()`},
		"parked, late":      {prepare: `parked_at = clock_timestamp(), expires_at = clock_timestamp()`, late: true},
		"late":              {prepare: `expires_at = clock_timestamp()`, due: true},
		"waits for ever":    {prepare: `ready_at = 'infinity'`, future: true},
		"held far too long": {prepare: `lease_token = key, leased_until = now() + interval '1 day'`, future: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			put(t, db, hello())
			if test.prepare != "" {
				exec(t, db, `UPDATE outbox SET `+test.prepare)
			}
			sights, err := greetings.Look(t.Context(), db.Pool, time.Hour, false, "GOODBYE", "HELLO")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Sight{Kind: "GOODBYE", At: sights[0].At}, sights[0]); diff != "" {
				t.Errorf("goodbyes (-want +got):\n%s", diff)
			}
			got := sights[1]
			due := got.Next != nil && *got.Next <= 0
			waits := got.Next != nil && !due && seconds(*got.Next) < time.Hour
			if due != test.due || waits != test.waits || got.Late != test.late || got.Future != test.future {
				t.Errorf("got due %v, waits %v, late %v, future %v, want %+v", due, waits, got.Late, got.Future, test)
			}
		})
	}
}

// counted notes how often a pool sends each statement about the outbox.
type counted struct {
	mu    sync.Mutex
	looks int
	other []string
}

func (c *counted) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case strings.Contains(d.SQL, "AS future"):
		c.looks++
	case strings.Contains(d.SQL, "outbox"):
		c.other = append(c.other, d.SQL)
	}
	return ctx
}

func (*counted) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Workers for two kinds have nothing to do. Each claims once, when it begins; from then on one statement looks for
// both, and nothing else is asked.
func TestIdleWorkersSendOneStatementALook(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	c := &counted{}
	config := db.Pool.Config()
	config.ConnConfig.Tracer = c
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	workers := NewWorkers(restless(), pool, greetings, newGreeter(t, db), discard, "HELLO", "GOODBYE")
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { workers.Run(ctx) })
	eventually(t, "fifty looks", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.looks >= 50 && len(c.other) >= 2
	})
	stop()
	working.Wait()
	if len(c.other) != 2 {
		t.Errorf("got %d statements beside %d looks, want the first claim of each kind: %s",
			len(c.other), c.looks, strings.Join(c.other, "\n"))
	}
}

// An outbox that stays empty is looked at less and less often, ten times less in the end, as long as wake-ups are
// heard.
func TestAnEmptyOutboxIsLookedAtSeldom(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		wakes, lost bool
		want        []time.Duration
	}{
		"woken":         {true, false, []time.Duration{1, 2, 4, 8, 10, 10, 10}},
		"not woken":     {false, false, []time.Duration{1, 1, 1, 1, 1, 1, 1}},
		"wake-ups lost": {true, true, []time.Duration{1, 1, 1, 1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := patient()
				c.PollInterval, c.Wakes = time.Second, test.wakes
				c.Poll = func(usual time.Duration) time.Duration {
					if test.lost {
						return min(usual, time.Second)
					}
					return usual
				}
				all := Workers{NewWorker(c, nil, &greeter{}, discard)}
				for empty, want := range test.want {
					began := time.Now()
					all.untilNextLook(t.Context(), empty, 0)
					if got := time.Since(began); got != want*time.Second {
						t.Errorf("after %d looks at nothing: got %v, want %v", empty, got, want*time.Second)
					}
				}
			})
		})
	}
}

// One of several looks for all: whoever hears of it waits anew, for no longer than the time in which somebody has to
// look.
func TestWhoHearsOfALookWaitsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := patient()
		c.PollInterval, c.Wakes = time.Second, true
		all := Workers{NewWorker(c, nil, &greeter{}, discard)}
		var last time.Time
		for n := range 5 {
			time.AfterFunc(time.Duration(n)*7*time.Second, func() {
				last = time.Now()
				all.Hear(looked)
			})
		}
		all.untilNextLook(t.Context(), seldom, 0)
		if got := time.Since(last); last.IsZero() || got < (seldom-1)*time.Second || got > seldom*time.Second {
			t.Errorf("looked %v after the last one did, want 9 to 10 s", got)
		}
		if len(all[0].wake) != 0 {
			t.Error("was woken by a look, want that it is none")
		}
	})
}

// A look at an outbox that has nothing to do tells of it, by the same statement, and no other look does.
func TestALookAtNothingIsTold(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	for _, test := range []struct{ tell, some, want bool }{
		{true, false, true}, {false, false, false}, {true, true, false},
	} {
		if test.some {
			put(t, db, hellos(1)...)
		}
		sights, err := greetings.Look(t.Context(), db.Pool, time.Hour, test.tell, "GOODBYE", "HELLO")
		if err != nil || len(sights) != 2 || (sights[0].Told || sights[1].Told) != test.want {
			t.Errorf("tell %v, some %v: got %+v, %v; want told %v", test.tell, test.some, sights, err, test.want)
		}
	}
}

// A sweep that can do nothing about what it finds does not find the same again, until it has been through.
func TestASweepGoesOnWhereTheLastOneStopped(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(9)...)
	exec(t, db, `
		UPDATE outbox
		SET expires_at = clock_timestamp(), ready_at = clock_timestamp() - (10 - id) * interval '1 s'`)
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id > 6`)
	exec(t, db, `UPDATE outbox SET expires_at = NULL WHERE id = 3`)
	var at place
	for pass, want := range [][]int64{
		{7, 8}, {1, 9}, {7, 8}, {2, 9}, {7, 8}, {4, 9}, {7, 8}, {5, 9}, {7, 8}, {6, 9}, {7, 8}, {1, 9},
	} {
		messages, next, err := queue(db).Expired(t.Context(), 2, at)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, m := range messages {
			got = append(got, m.ID)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pass %d found (-want +got):\n%s", pass+1, diff)
		}
		at = next
	}
}

// So many became due at one moment that a pass sees the end of none of them.
func TestASweepGetsPastOneMoment(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	found := []candidate{
		{ID: 1, ReadyAt: &at, Late: true, Looked: lookAtMost},
		{ID: 9, ReadyAt: &at, Looked: lookAtMost},
	}
	_, next := late(found, 10, place{ready: at})
	if !next.ready.After(at) {
		t.Errorf("got the next pass from %v, want it beyond %v", next.ready, at)
	}
}
