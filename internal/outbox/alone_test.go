package outbox

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// One message kills every worker that takes it up, with all that the worker holds, before anything is written down.
// Three workers share the outbox, and each is back at once. Whichever of them it kills, it goes alone after three
// deaths, for ever, and everybody else is greeted.
func TestWhatKillsItsWorkersIsIsolatedHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	workers := []*Queue{queue(db), queue(db), queue(db)}
	poison := hello()
	put(t, db, poison)
	deaths, among := 0, 0
	for round := range 40 {
		if round < 20 {
			put(t, db, hellos(3)...)
		}
		for n := range workers {
			var settled []int64
			killed := false
			for _, m := range claim(t, workers[(round+n)%len(workers)], 5, 1) {
				settled = append(settled, m.ID)
				if m.Key == poison.Key {
					killed = true
					if !m.Alone {
						among++
					}
				}
			}
			if killed {
				deaths++
				continue
			}
			inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return greetings.Remove(ctx, tx, settled) })
		}
		leasesEnd(t, db)
	}
	if deaths < 10 || among != 3 {
		t.Errorf("got %d deaths, %d of them by a message among others, want 3 of those and many alone", deaths, among)
	}
	if got := rows(t, db); len(got) != 1 || got[0].Key != poison.Key {
		t.Errorf("got %d messages left, want the poison only", len(got))
	}
}

// What hangs among others that are answered has a record each time, and never goes alone.
func TestWhatHangsAmongOthersNeverGoesAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	for range 10 {
		m := claimOne(t, queue(db))
		if m.Alone {
			t.Fatalf("got %+v, want it among the others", m)
		}
		inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
			return greetings.Reschedule(ctx, tx, []Retry{{Message: m, Code: "SILENT", Answered: true}})
		})
	}
}

// A burst of messages hangs where others are served, as they do: in one moment, without a decision between them. The
// breaker hears of it only where ambiguous answers open it, and then they spend nothing.
func TestWhatHangsAmongOthersOpensNoBreaker(t *testing.T) {
	t.Parallel()
	for ambiguous, want := range map[int]int{0: 20, 5: 5} { // attempts spent
		c := patient()
		c.BreakerStreak, c.AmbiguousStreak = 2, ambiguous
		w := NewWorker(c, nil, &greeter{}, discard)
		spent := 0
		for n := range 20 {
			r := Report{Message: Message{Key: fmt.Sprint(n)}, Result: TimedOut, Unanswered: true}
			if w.judge(&r); r.Result == Ambiguous {
				spent++
			}
		}
		if spent != want || w.breaker.Open(time.Now()) != (ambiguous > 0) {
			t.Errorf("ambiguous streak %d: got %d attempts spent, open %t, want %d, open where that is asked for",
				ambiguous, spent, w.breaker.Open(time.Now()), want)
		}
	}
}

// A suspect hangs alone, and has broken nothing. One of the claims that made it a suspect is forgiven: it goes among
// the others, and is alone at the next claim that leaves no record.
func TestASuspectThatOnlyHangsIsForgivenOneClaim(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	var alone []bool
	for n := range 8 {
		m := claimOne(t, queue(db))
		alone = append(alone, m.Alone)
		if n < 3 || !m.Alone {
			leasesEnd(t, db) // it killed its worker
			continue
		}
		inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
			return greetings.Reschedule(ctx, tx, []Retry{{Message: m, Code: "SILENT", Answered: true, Forgives: true}})
		})
	}
	for n, got := range alone {
		if want := n == 3 || n == 5 || n == 7; got != want {
			t.Errorf("claim %d: got alone %t, want %t (all: %v)", n+1, got, want, alone)
		}
	}
}

// The peer asks for patience, or goes as planned. That is no failure: no breaker hears of it, no attempt is spent, and
// the retry budget is not asked.
func TestWhatIsDeferredIsNoFailure(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.answer = func(_ context.Context, m Message) Report {
		if m.Claims < 4 {
			return Report{Result: Deferred, Code: "PATIENCE", Immediate: m.Claims < 3}
		}
		return Report{Result: Decided}
	}
	g.meet(t, db, hellos(50)...)
	c := patient()
	c.BreakerStreak, c.AmbiguousStreak = 1, 1
	w := newWorker(db, c, g)
	w.budget.tokens = 0
	start(t, w)
	eventually(t, "everybody is greeted", func() bool { return people(t, db, "HAPPY") == 50 })
	if got := g.deliveries(); got != 200 {
		t.Errorf("got %d deliveries, want four each", got)
	}
	if w.breaker.Open(time.Now()) || len(w.breaker.streak)+len(w.breaker.ambiguous) > 0 {
		t.Errorf("got a breaker that has heard of it: %+v", w.breaker.streak)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.explained {
		if r.Message.Attempts != 0 || r.Immediate && r.Delay != 0 {
			t.Errorf("got %+v, want no attempt spent, and the next try at once", r)
		}
	}
}
