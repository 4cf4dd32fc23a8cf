package outbox

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// Settling one of fifty fails each time, for no fault of the database. The forty-nine are settled, and it alone is
// left, to be delivered again after its lease.
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

// The row is held for longer than the lease lasts. The message is delivered again, and comes to no decision any more:
// the one that there was is settled when the row is free. One of each message is kept, and they hold no room.
func TestADecisionIsSettledHoweverLate(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	messages := hellos(10)
	g.meet(t, db, messages...)
	g.answer = func(_ context.Context, m Message) Report {
		if m.Claims <= 3 {
			return Report{Result: Decided, Code: "OK"}
		}
		return Report{Result: Blocked, Code: "BUSY"}
	}
	c := restless()
	c.Lease, c.Batch, c.BreakerStreak = 30*time.Millisecond, 2, 10_000 // room for 8
	w := newWorker(db, c, g)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT FROM greeted FOR UPDATE`)
		start(t, w)
		eventually(t, "all are delivered in vain", func() bool {
			return number(t, db, `SELECT count(*) FROM outbox WHERE claims > 5`) == len(messages)
		})
		return err
	})
	eventually(t, "all are greeted", func() bool { return people(t, db, "HAPPY") == len(messages) })
	eventually(t, "nothing is left", func() bool { return number(t, db, `SELECT count(*) FROM outbox`) == 0 })
	eventually(t, "no room is held", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.inFlight == 0 && !w.alone
	})
}

// The peer is silent, and decides after all, when nobody waits any more and the next try is an hour away.
func TestADecisionAfterASilenceIsSettled(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.meet(t, db, hello())
	g.answer = func(context.Context, Message) Report {
		return Report{Result: TimedOut, Code: "SILENT", Unanswered: true, RetryAfter: time.Hour}
	}
	w := newWorker(db, patient(), g)
	start(t, w)
	eventually(t, "it is to be tried again", func() bool {
		got := rows(t, db)
		return len(got) == 1 && got[0].LastCode == "SILENT"
	})
	w.report(Report{Message: g.batch(0)[0], Result: Decided, Code: "OK", Late: true})
	eventually(t, "it is settled", func() bool { return people(t, db, "HAPPY") == 1 && len(rows(t, db)) == 0 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inFlight != 0 {
		t.Errorf("got %d in flight, want none", w.inFlight)
	}
}

// The row is held for longer than the lease lasts. The message is delivered again.
func TestWhatIsNotSettledWithinItsLeaseIsDeliveredAgain(t *testing.T) {
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

// A check keeps some messages back, changes one, and knows better which are too late. The first wait for another try
// without a word about the peer, and what the sweep finds stays as it is.
func TestWhatACheckKeepsBackIsNotDelivered(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.meet(t, db, hellos(12)...)
	exec(t, db, `UPDATE outbox SET expires_at = clock_timestamp() - interval '1 second' WHERE id > 8`)
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id = 12`)
	g.check = func(messages []Message) (going []Message, kept []Report) {
		for _, m := range messages {
			switch {
			case m.ID <= 6 && m.Claims <= 2:
				kept = append(kept, Report{Message: m, Result: Withheld, Code: "WITHHELD"})
				continue
			case m.ID == 7:
				m.Payload, m.Rebuilt = []byte("good evening"), true
			case m.ID == 8:
				m.Expired = true
			case m.ID >= 11:
				m.Expired = false
			}
			going = append(going, m)
		}
		return going, kept
	}
	g.answer = func(_ context.Context, m Message) Report {
		if m.ID == 7 && m.Claims == 1 {
			return Report{Result: Blocked, Code: "BUSY"}
		}
		return Report{Result: Decided, Code: "OK"}
	}
	w := newWorker(db, restless(), g)
	start(t, w)
	eventually(t, "all but the parked one are settled", func() bool {
		return people(t, db, "HAPPY") == 8 && people(t, db, "FORGOTTEN") == 3
	})
	if w.breaker.Open(time.Now()) {
		t.Error("got an open breaker, want it closed: six that were not sent say nothing about the peer")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, batch := range g.sent {
		for _, m := range batch {
			if m.ID <= 6 && m.Claims != 3 || m.ID == 7 && string(m.Payload) != "good evening" || m.ID == 12 {
				t.Errorf("got message %d delivered at claim %d with %q", m.ID, m.Claims, m.Payload)
			}
		}
	}
	if got := rows(t, db); len(got) != 1 || !got[0].Parked || got[0].Claims != 0 {
		t.Errorf("got %+v left, want the one that is parked, as it was", got)
	}
}

// More messages than a sweep takes at once are said to be too late and are not. Those behind them are given up all the
// same.
func TestASweepGetsPastWhatItCannotGiveUp(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	g := newGreeter(t, db)
	g.meet(t, db, hellos(12)...)
	exec(t, db, `
		UPDATE outbox
		SET parked_at = clock_timestamp(), expires_at = clock_timestamp() - (100 - id) * interval '1 second'`)
	g.check = func(messages []Message) (going []Message, kept []Report) {
		for _, m := range messages {
			if m.Expired = m.ID > 10; m.ID%2 == 0 || m.Expired {
				going = append(going, m)
			} else {
				kept = append(kept, Report{Message: m, Result: Stray})
			}
		}
		return going, kept
	}
	c := restless()
	c.Batch = 3
	start(t, newWorker(db, c, g))
	eventually(t, "the last two are given up", func() bool { return people(t, db, "FORGOTTEN") == 2 })
	if got := g.deliveries(); got != 0 || len(rows(t, db)) != 10 {
		t.Errorf("got %d deliveries and %d rows, want none sent and the ten as they were", got, len(rows(t, db)))
	}
}

func TestWhatIsTooLateIsGivenUpAndNotDelivered(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]string{
		"due": `UPDATE outbox SET expires_at = clock_timestamp() - interval '1 second' WHERE id <= 3`,
		"parked": `
			UPDATE outbox
			SET expires_at = clock_timestamp() - interval '1 second', parked_at = clock_timestamp()
			WHERE id <= 3`,
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
