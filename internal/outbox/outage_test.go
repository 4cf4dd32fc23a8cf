package outbox

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// Nobody can be reached. The first batch opens the breaker; from then on one message goes out when a probe is due, and
// none before. What is too late is given up all the same. One answer, and everything flows.
func TestAnOpenBreakerLetsOneMessageAProbeOut(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	var back atomic.Bool
	g.answer = func(context.Context, Message) Report {
		if back.Load() {
			return Report{Result: Decided}
		}
		return Report{Result: Blocked, Code: "DOWN", RetryAfter: time.Hour}
	}
	g.meet(t, db, hellos(5)...)
	w := newWorker(db, restless(), g)
	start(t, w)
	waiting := func(n int) {
		t.Helper()
		eventually(t, "messages wait for their next try", func() bool {
			return number(t, db, `SELECT count(*) FROM outbox WHERE last_code = 'DOWN' AND lease_token IS NULL`) == n
		})
	}
	probe := func(at time.Time) {
		w.breaker.mu.Lock()
		w.breaker.nextProbe = at
		w.breaker.mu.Unlock()
		w.Wake()
	}
	waiting(5)
	if !w.breaker.Open(time.Now()) {
		t.Fatal("five could not be reached, and the breaker is closed")
	}
	probe(time.Now().Add(time.Hour))
	g.meet(t, db, hellos(20)...)
	exec(t, db, `UPDATE outbox SET expires_at = clock_timestamp() WHERE id > 20`)
	eventually(t, "what is too late is given up", func() bool { return people(t, db, "FORGOTTEN") == 5 })
	for n := range 3 {
		if got := g.deliveries(); got != 5+n {
			t.Fatalf("got %d deliveries, want %d: the breaker is open and no probe is due", got, 5+n)
		}
		probe(time.Now())
		waiting(6 + n)
		probe(time.Now().Add(time.Hour))
	}
	for _, batch := range g.sent[1:] {
		if len(batch) != 1 {
			t.Errorf("got a probe of %d messages", len(batch))
		}
	}
	back.Store(true)
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp()`)
	probe(time.Now())
	eventually(t, "everybody else is greeted", func() bool { return people(t, db, "HAPPY") == 20 })
	if w.breaker.Open(time.Now()) {
		t.Error("the breaker is open although everybody answers")
	}
}

// A hundred people cannot be reached, and everybody else can. The hundred have opened the breaker, and are due again
// and again; whoever has not been tried yet does not have to wait until each of them has been the probe.
func TestAnOpenBreakerProbesFirstWithWhatWasNotTried(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for probes")
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.answer = func(_ context.Context, m Message) Report {
		if m.Claims > 1 { // they were put down as tried before
			return Report{Result: Blocked, Code: "DOWN", RetryAfter: time.Hour}
		}
		return Report{Result: Decided}
	}
	g.meet(t, db, hellos(100)...)
	exec(t, db, `UPDATE outbox SET claims = 5, answers = 5`)
	g.meet(t, db, hellos(3)...)
	w := newWorker(db, patient(), g)
	w.breaker.open, w.breaker.until = true, time.Now() // and the next probe is due
	start(t, w)
	eventually(t, "those who were not tried are greeted", func() bool { return people(t, db, "HAPPY") == 3 })
	if first := g.batch(0); len(first) != 1 || first[0].Claims != 1 {
		t.Errorf("got the probe %+v, want one message that was not tried before", first)
	}
}

// The outage was so long that each message has been claimed in vain three times. All must go alone now, and one of them
// must be the probe: nothing else can find out that the peer is back.
func TestAnOpenBreakerProbesWithAMessageThatGoesAloneWhenThereIsNoOther(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.meet(t, db, hellos(7)...)
	exec(t, db, `UPDATE outbox SET claims = 3`)
	w := newWorker(db, patient(), g)
	w.breaker.open, w.breaker.until = true, time.Now()
	start(t, w)
	eventually(t, "everybody is greeted", func() bool { return people(t, db, "HAPPY") == 7 })
}

// Three messages go alone because they may be killing their workers. Each is on its way by itself: the next goes when
// the one before is settled, and one whose thing somebody else is at is not settled.
func TestMessagesThatGoAloneGoOneAtATime(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for leases")
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	var underWay atomic.Int32
	sent, answer := make(chan string), make(chan struct{})
	g.answer = func(ctx context.Context, m Message) Report {
		if m.Alone {
			if n := underWay.Add(1); n != 1 {
				t.Errorf("%d messages that must go alone are under way", n)
			}
			select {
			case sent <- m.Key:
				<-answer
			case <-ctx.Done():
			}
			underWay.Add(-1)
		}
		return Report{Result: Decided}
	}
	g.meet(t, db, hellos(3)...)
	exec(t, db, `UPDATE outbox SET claims = 3`)
	g.meet(t, db, hellos(10)...)
	w := newWorker(db, patient(), g)
	start(t, w)
	eventually(t, "the others are greeted", func() bool { return people(t, db, "HAPPY") == 10 })
	for n := range 3 {
		key := receive(t, "a message goes alone", sent)
		inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT FROM greeted WHERE key = $1 FOR UPDATE`, key)
			answer <- struct{}{}
			g.meet(t, db, hello())
			w.Wake()
			eventually(t, "somebody else is greeted", func() bool { return people(t, db, "HAPPY") == 11+2*n })
			select {
			case key := <-sent:
				t.Errorf("a message to %s goes alone before the one before is settled", key)
				answer <- struct{}{}
			default:
			}
			return err
		})
		eventually(t, "the message that went alone is settled", func() bool { return people(t, db, "HAPPY") == 12+2*n })
	}
}
