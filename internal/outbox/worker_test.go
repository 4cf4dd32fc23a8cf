package outbox

import (
	"context"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

func TestAWorkerDeliversWhatIsAppended(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.meet(t, db, hellos(250)...)
	start(t, newWorker(db, patient(), g))
	eventually(t, "everybody is greeted", func() bool { return people(t, db, "HAPPY") == 250 })
	if got := rows(t, db); len(got) != 0 {
		t.Errorf("got %d rows, want none: what is settled has left", len(got))
	}
	if got := g.deliveries(); got != 250 {
		t.Errorf("got %d deliveries, want one each", got)
	}
	for _, batch := range g.sent {
		if len(batch) > 100 {
			t.Errorf("got %d messages at once, want a batch of 100 at most", len(batch))
		}
	}
}

// The worker would look again in an hour. It is woken for each message.
func TestAWakeUpIsHeard(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	w := newWorker(db, patient(), g)
	start(t, w)
	for n := range 20 {
		g.meet(t, db, hello())
		w.Wake()
		eventually(t, "a greeting", func() bool { return people(t, db, "HAPPY") == n+1 })
	}
}

// A wake-up names the kinds of what is due. It wakes nobody else; but whoever does not understand it wakes everybody.
func TestAWakeUpThatNamesAKindIsForThatKind(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	for said, want := range map[string][2]bool{
		"HELLO": {true, false}, "GOODBYE": {false, true}, "HELLO,GOODBYE": {true, true}, "": {true, true},
		"WHATEVER": {true, true}, "HELLO,WHATEVER": {true, true},
	} {
		all := NewWorkers(patient(), db.Pool, greetings, g, discard, "HELLO", "GOODBYE")
		all.Hear(said)
		if got := [2]bool{len(all[0].wake) == 1, len(all[1].wake) == 1}; got != want {
			t.Errorf("%q: got %v woken, want %v", said, got, want)
		}
	}
}

// Nobody wakes the worker. It looks by itself: wake-ups are only hints.
func TestWithoutWakeUpsPollingFindsEverything(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	start(t, newWorker(db, restless(), g))
	for n := range 20 {
		g.meet(t, db, hello())
		eventually(t, "a greeting", func() bool { return people(t, db, "HAPPY") == n+1 })
	}
}

// Wake-ups are known to be lost, and the worker looks more often than it would.
func TestWhileWakeUpsAreLostTheWorkerPollsAsItIsTold(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	c := patient()
	c.Poll = func(usual time.Duration) time.Duration { return min(usual, 2*time.Millisecond) }
	start(t, newWorker(db, c, g))
	for n := range 20 {
		g.meet(t, db, hello())
		eventually(t, "a greeting", func() bool { return people(t, db, "HAPPY") == n+1 })
	}
}

// A message is answered ambiguously a few times, and is due again before the worker would look by itself.
func TestARetryIsNotKeptWaitingForThePoll(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.answer = func(_ context.Context, m Message) Report {
		if m.Attempts < 10 {
			return Report{Result: Ambiguous, Code: "WHAT"}
		}
		return Report{Result: Decided}
	}
	g.meet(t, db, hello())
	start(t, newWorker(db, patient(), g))
	eventually(t, "the greeting", func() bool { return people(t, db, "HAPPY") == 1 })
	if got := g.deliveries(); got != 11 {
		t.Errorf("got %d deliveries, want ten that failed and one", got)
	}
}

// The breaker is open, and the next probe an hour away. The answer to the last one comes now, and everything flows.
func TestADecisionLetsTheOthersOutAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	sent, answer := make(chan struct{}, 30), make(chan struct{})
	g.answer = func(context.Context, Message) Report {
		sent <- struct{}{}
		<-answer
		return Report{Result: Decided}
	}
	g.meet(t, db, hellos(20)...)
	w := newWorker(db, patient(), g)
	w.breaker.open, w.breaker.until = true, time.Now()
	start(t, w)
	receive(t, "the probe", sent)
	w.breaker.mu.Lock()
	w.breaker.nextProbe = time.Now().Add(time.Hour)
	w.breaker.mu.Unlock()
	w.Wake() // the worker looks at the breaker again, and waits for an hour
	g.meet(t, db, hellos(10)...)
	close(answer)
	eventually(t, "everybody is greeted", func() bool { return people(t, db, "HAPPY") == 30 })
}

// A message is on its way when the worker is told to stop. Only then comes the answer, and it is settled before the
// worker has stopped. What is appended in the meantime is left to others.
func TestAWorkerThatStopsSettlesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	sent, answer := make(chan struct{}), make(chan struct{})
	g.answer = func(context.Context, Message) Report {
		close(sent)
		<-answer
		return Report{Result: Decided}
	}
	g.meet(t, db, hello())
	w := newWorker(db, patient(), g)
	stop, stopped := start(t, w)
	receive(t, "the message is sent", sent)
	stop()
	g.meet(t, db, hello())
	w.Wake()
	close(answer)
	receive(t, "the worker stops", stopped)
	if got := people(t, db, "HAPPY"); got != 1 {
		t.Errorf("got %d people greeted, want the one whose greeting was under way", got)
	}
	if got := rows(t, db); len(got) != 1 || got[0].Claims != 0 {
		t.Errorf("got %+v, want only the message that came later, unclaimed", got)
	}
}

// The worker is told to stop while its claim waits for the table. The claim succeeds, and is given back unused.
func TestAWorkerThatStopsGivesBackWhatItHasNotSent(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.meet(t, db, hellos(10)...)
	exec(t, db, `CREATE TABLE updates ()`)
	exec(t, db, `
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO updates DEFAULT VALUES;
			RETURN NULL;
		END
		$$`)
	exec(t, db, `CREATE TRIGGER note AFTER UPDATE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION note()`)
	want := rows(t, db)
	var stopped <-chan struct{}
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE outbox IN EXCLUSIVE MODE`); err != nil {
			return err
		}
		var stop context.CancelFunc
		stop, stopped = start(t, newWorker(db, patient(), g))
		awaitBlocked(t, db, 1)
		stop()
		return nil
	})
	receive(t, "the worker stops", stopped)
	if got := g.deliveries(); got != 0 {
		t.Errorf("got %d deliveries after the worker was told to stop", got)
	}
	if got := number(t, db, `SELECT count(*) FROM updates`); got != 2 {
		t.Errorf("got %d updates of the outbox, want 2: the claim and its release", got)
	}
	if diff := cmp.Diff(want, rows(t, db)); diff != "" {
		t.Errorf("rows (-before the claim +after it was given back):\n%s", diff)
	}
}

// A peer that takes no answer from anybody must not keep a worker from stopping: it stops when a delivery has had its
// time, and the message is somebody else's after its lease.
func TestAWorkerStopsAlthoughAMessageHangs(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	sent := make(chan struct{})
	g.answer = func(ctx context.Context, _ Message) Report {
		close(sent)
		<-ctx.Done()
		return Report{Result: Blocked}
	}
	g.meet(t, db, hello())
	c := patient()
	c.CallTimeout, c.SettleTimeout = time.Millisecond, 500*time.Millisecond
	stop, stopped := start(t, newWorker(db, c, g))
	receive(t, "the message is sent", sent)
	stop()
	receive(t, "the worker stops", stopped)
	if got := rows(t, db); len(got) != 1 || !got[0].Leased || got[0].Claims != 1 {
		t.Errorf("got %+v, want the message, still under its lease", got)
	}
}

// One of a thousand messages is not answered. The others are delivered and settled while it hangs, and it is no suspect
// for it: it broke nothing.
func TestAMessageThatHangsDelaysNobody(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	messages := hellos(1001)
	hanging := messages[500].Key
	over := make(chan struct{})
	g.answer = func(_ context.Context, m Message) Report {
		if m.Key != hanging {
			return Report{Result: Decided}
		}
		<-over
		return Report{Result: TimedOut, Unanswered: true, Code: "SILENT", RetryAfter: time.Hour}
	}
	g.meet(t, db, messages...)
	start(t, newWorker(db, patient(), g))
	eventually(t, "a thousand are greeted", func() bool { return people(t, db, "HAPPY") == 1000 })
	close(over)
	eventually(t, "the hanging message waits for its next try", func() bool {
		got := rows(t, db)
		return len(got) == 1 && got[0].Attempts == 1 && got[0].Answers == 1 && !got[0].Leased
	})
}

// Workers share an outbox, and their leases are too short on purpose: the rows are moved in time while they work, so
// that messages are delivered twice and late answers come. Each message has one effect.
func TestHoweverManyWorkersEachMessageHasOneEffect(t *testing.T) {
	t.Parallel()
	for name, workers := range map[string]int{"two": 2, "eight": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const messages = 400
			db := pgtest.Orders(t)
			g := newGreeter(t, db)
			var tried sync.Map
			g.answer = func(_ context.Context, m Message) Report {
				switch _, again := tried.LoadOrStore(m.Key, true); {
				case !again && m.ID%7 == 0:
					return Report{Result: Ambiguous, Code: "WHAT"}
				case !again && m.ID%11 == 0:
					return Report{Result: Conflict, Code: "RUDE"}
				}
				return Report{Result: Decided}
			}
			g.meet(t, db, hellos(messages)...)
			c := restless()
			c.Batch = 20
			for range workers {
				start(t, newWorker(db, c, g))
			}
			moves := 0
			eventually(t, "all are settled", func() bool {
				moves++
				exec(t, db, `
					UPDATE outbox
					SET ready_at = clock_timestamp(), leased_until = NULL, parked_at = NULL
					WHERE id IN (
						SELECT id FROM outbox WHERE parked_at IS NOT NULL OR $1 FOR UPDATE SKIP LOCKED
					)`, moves < 10)
				return number(t, db, `SELECT count(*) FROM outbox`) == 0
			})
			if got := people(t, db, "HAPPY"); got != messages {
				t.Errorf("got %d people greeted once, want %d", got, messages)
			}
		})
	}
}

// The worker's goroutines are told from those of other tests by a label that they inherit.
func TestRunReturnsWhenAllThatItStartedHasStopped(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.meet(t, db, hellos(10)...)
	working := func() (n int) {
		var profile strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
			t.Fatal(err)
		}
		for goroutine := range strings.SplitSeq(profile.String(), "\n\n") {
			if strings.Contains(goroutine, t.Name()) && strings.Contains(goroutine, "outbox.(*Worker)") {
				n++
			}
		}
		return n
	}
	pprof.Do(t.Context(), pprof.Labels("test", t.Name()), func(context.Context) {
		stop, stopped := start(t, newWorker(db, restless(), g))
		eventually(t, "everybody is greeted", func() bool { return people(t, db, "HAPPY") == 10 })
		if working() == 0 {
			t.Error("got no goroutine while the worker works: the test sees none")
		}
		stop()
		receive(t, "the worker stops", stopped)
	})
	if got := working(); got != 0 {
		t.Errorf("got %d kinds of goroutines left, want none", got)
	}
}
