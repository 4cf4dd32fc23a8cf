package outbox

import (
	"context"
	"errors"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
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
	w.breaker.open = true
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

// One of a thousand messages is not answered. The others are delivered and settled while it hangs.
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
		return len(got) == 1 && got[0].Attempts == 1 && got[0].Answers == 0 && !got[0].Leased
	})
}

// Settling one of fifty fails each time, for no fault of the database. The forty-nine are settled, and it alone is left,
// to be delivered again after its lease.
func TestAMessageThatCannotBeSettledFailsAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	messages := hellos(50)
	poison := messages[21].Key
	var failed atomic.Int32
	g.disturb = func(_ context.Context, _ pgx.Tx, reports []Report) error {
		for _, r := range reports {
			if r.Message.Key == poison {
				failed.Add(1)
				return errors.New("a name that nobody can pronounce")
			}
		}
		return nil
	}
	g.meet(t, db, messages...)
	w := newWorker(db, patient(), g)
	_, stopped := start(t, w)
	eventually(t, "the others are greeted", func() bool { return people(t, db, "HAPPY") == 49 })
	eventually(t, "the worker is done with them", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.inFlight == 0
	})
	if got := rows(t, db); len(got) != 1 || got[0].Key != poison || !got[0].Leased {
		t.Errorf("got %+v, want the poison only, under its lease", got)
	}
	if got := failed.Load(); got > 7 {
		t.Errorf("got %d transactions that failed, want 7 at most: fifty halved until one is left", got)
	}
	select {
	case <-stopped:
		t.Error("the worker has stopped")
	default:
	}
}

// The database kills the session that settles, three times. The answers are kept, and nothing is delivered twice.
func TestSettlingIsTriedUntilTheDatabaseTakesIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	var killed atomic.Int32
	g.disturb = func(ctx context.Context, tx pgx.Tx, _ []Report) error {
		if killed.Add(1) > 3 {
			return nil
		}
		_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
		return err
	}
	g.meet(t, db, hellos(30)...)
	start(t, newWorker(db, patient(), g))
	eventually(t, "everybody is greeted", func() bool { return people(t, db, "HAPPY") == 30 })
	if got := g.deliveries(); got != 30 {
		t.Errorf("got %d deliveries, want one each", got)
	}
}

// Somebody keeps the whole table locked for longer than settling may take.
func TestSettlingIsTriedUntilTheTableIsFree(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	var tries atomic.Int32
	sent, answer, again := make(chan struct{}), make(chan struct{}), make(chan struct{})
	g.answer = func(context.Context, Message) Report {
		close(sent)
		<-answer
		return Report{Result: Decided}
	}
	g.disturb = func(context.Context, pgx.Tx, []Report) error {
		if tries.Add(1) == 2 {
			close(again)
		}
		return nil
	}
	g.meet(t, db, hello())
	c := patient()
	c.SettleTimeout = 300 * time.Millisecond
	start(t, newWorker(db, c, g))
	receive(t, "the message is sent", sent)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `LOCK TABLE outbox IN EXCLUSIVE MODE`)
		close(answer)
		receive(t, "a second try", again)
		return err
	})
	eventually(t, "the greeting", func() bool { return people(t, db, "HAPPY") == 1 })
	if got := g.deliveries(); got != 1 {
		t.Errorf("got %d deliveries, want 1", got)
	}
}

// A person in psql holds somebody's row. Everybody else is settled meanwhile; the one is settled when the row is free,
// and is delivered only once.
func TestWhatSomebodyElseIsAtIsSettledLaterAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	messages := hellos(20)
	g.meet(t, db, messages...)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT FROM greeted WHERE key = $1 FOR UPDATE`, messages[7].Key)
		start(t, newWorker(db, patient(), g))
		eventually(t, "the others are greeted", func() bool { return people(t, db, "HAPPY") == 19 })
		return err
	})
	eventually(t, "the one is greeted", func() bool { return people(t, db, "HAPPY") == 20 })
	if got := g.deliveries(); got != 20 {
		t.Errorf("got %d deliveries, want one each", got)
	}
}

// The row is held for longer than the lease lasts. The worker gives the report up: the message is delivered again.
func TestAReportIsKeptNoLongerThanItsLease(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	m := hello()
	g.meet(t, db, m)
	c := restless()
	c.Lease = 30 * time.Millisecond
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT FROM greeted WHERE key = $1 FOR UPDATE`, m.Key)
		start(t, newWorker(db, c, g))
		eventually(t, "a second delivery", func() bool { return g.deliveries() > 1 })
		return err
	})
	eventually(t, "the greeting", func() bool { return people(t, db, "HAPPY") == 1 })
}

func TestWhatIsTooLateIsGivenUpAndNotDelivered(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]string{
		"due":    `UPDATE outbox SET expires_at = clock_timestamp() - interval '1 second' WHERE id <= 3`,
		"parked": `UPDATE outbox SET expires_at = clock_timestamp() - interval '1 second', parked_at = clock_timestamp() WHERE id <= 3`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			g := newGreeter(t, db)
			g.meet(t, db, hellos(5)...)
			exec(t, db, prepare)
			start(t, newWorker(db, patient(), g))
			eventually(t, "all are settled", func() bool {
				return people(t, db, "HAPPY") == 2 && people(t, db, "FORGOTTEN") == 3
			})
			if got := g.deliveries(); got != 2 {
				t.Errorf("got %d deliveries, want the 2 that are not too late", got)
			}
		})
	}
}

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
	if !w.breaker.Open() {
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
	if w.breaker.Open() {
		t.Error("the breaker is open although everybody answers")
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
	w.breaker.open = true
	start(t, w)
	eventually(t, "everybody is greeted", func() bool { return people(t, db, "HAPPY") == 7 })
}

// Three messages go alone because they may be killing their workers. Each is on its way by itself: the next goes when
// the one before is settled, and one whose thing somebody else is at is not settled.
func TestMessagesThatGoAloneGoOneAtATime(t *testing.T) {
	t.Parallel()
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
					SET ready_at = clock_timestamp(), parked_at = NULL
					WHERE id IN (SELECT id FROM outbox WHERE parked_at IS NOT NULL OR $1 FOR UPDATE SKIP LOCKED)`, moves < 10)
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

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Config)
		unsafe bool
		want   string
	}{
		{"good", func(*Config) {}, false, ""},
		{"no call timeout", func(c *Config) { c.CallTimeout = 0 }, false, "call timeout: got 0s, want more than 0"},
		{"no settle timeout", func(c *Config) { c.SettleTimeout = 0 }, false, "settle timeout: got 0s, want more than 0"},
		{"no lease", func(c *Config) { c.Lease = 0 }, true, "lease: got 0s, want more than 0"},
		{"no poll interval", func(c *Config) { c.PollInterval = -1 }, false, "poll interval: got -1ns, want more than 0"},
		{"no longest delay", func(c *Config) { c.LongestDelay = 0 }, false, "longest delay: got 0s, want more than 0"},
		{"no batch", func(c *Config) { c.Batch = 0 }, false, "batch: got 0, want 1 to 1000"},
		{"large batch", func(c *Config) { c.Batch = 1001 }, false, "batch: got 1001, want 1 to 1000"},
		{"no streak", func(c *Config) { c.BreakerStreak = 0 }, false, "breaker streak: got 0, want at least 1"},
		{"no backoff", func(c *Config) { c.Backoff = nil }, false, "backoff: got none"},
		{
			"short lease", func(c *Config) { c.Lease = 5 * time.Second }, false,
			"lease: got 5s, want more than call timeout + settle timeout = 5s, or messages are delivered twice as a rule",
		},
		{"short lease, on purpose", func(c *Config) { c.Lease = time.Second }, true, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := patient()
			c.CallTimeout, c.SettleTimeout, c.Lease = 2*time.Second, 3*time.Second, 10*time.Second
			test.change(&c)
			got := ""
			if err := c.Validate(test.unsafe); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
