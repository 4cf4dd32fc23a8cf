package outbox

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// longWait bounds every wait. It is long, so that only a test that would fail runs into it.
const longWait = 30 * time.Second

// discard is where workers log to.
var discard = slog.New(slog.DiscardHandler)

// greetings is the table that the tests work on: it is the engine's one and only so far.
var greetings = Table{Name: "outbox", Supersedes: true}

// hello is a message to somebody new.
func hello() New { return New{Key: uuid.NewString(), Kind: "HELLO", Payload: []byte("good morning")} }

func goodbye(key string) New { return New{Key: key, Kind: "GOODBYE", Payload: []byte("good night")} }

func hellos(n int) []New {
	messages := make([]New, n)
	for i := range messages {
		messages[i] = hello()
	}
	return messages
}

// put appends messages and commits.
func put(t testing.TB, db *pgtest.Database, messages ...New) {
	t.Helper()
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error { return greetings.Append(ctx, tx, messages...) })
}

// queue is the greetings' Queue, whose leases do not end in a test, unless it moves the rows in time.
func queue(db *pgtest.Database) *Queue { return queueOf(db, "HELLO") }

func queueOf(db *pgtest.Database, kind string) *Queue {
	return NewQueue(db.Pool, greetings, kind, time.Hour)
}

func claim(t testing.TB, q *Queue, limit, alone int) []Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	messages, err := q.Claim(ctx, limit, alone)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// claimOne claims the one message that is due.
func claimOne(t testing.TB, q *Queue) Message {
	t.Helper()
	messages := claim(t, q, 10, 1)
	if len(messages) != 1 {
		t.Fatalf("claimed %d messages, want 1", len(messages))
	}
	return messages[0]
}

// inTx does what a Handler does in its Settle.
func inTx(t testing.TB, db *pgtest.Database, f func(ctx context.Context, tx pgx.Tx) error) {
	t.Helper()
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error { return f(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
}

// row is what a test wants to know of a row of the outbox.
type row struct {
	Key      string
	Kind     string
	Payload  string
	Attempts int
	Claims   int
	Answers  int
	Leased   bool
	Parked   bool
	Due      bool
	LastCode string
}

// rows returns what is in the outbox, in the order of the ids.
func rows(t testing.TB, db *pgtest.Database) []row {
	t.Helper()
	found, err := db.Pool.Query(t.Context(), `
		SELECT key, kind, convert_from(payload, 'UTF8') AS payload, attempts, claims, answers,
			lease_token IS NOT NULL AS leased, parked_at IS NOT NULL AS parked, `+dueAt+` <= clock_timestamp() AS due,
			coalesce(last_code, '') AS last_code
		FROM outbox
		ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(found, pgx.RowToStructByName[row])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func exec(t testing.TB, db *pgtest.Database, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// leasesEnd moves the rows in time: all leases are over.
func leasesEnd(t testing.TB, db *pgtest.Database) {
	t.Helper()
	exec(t, db, `
		UPDATE outbox
		SET ready_at = clock_timestamp() - interval '1 second', leased_until = clock_timestamp() - interval '1 second'`)
}

func number(t testing.TB, db *pgtest.Database, sql string, args ...any) (n int) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func text(t testing.TB, db *pgtest.Database, sql string, args ...any) (s string) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), sql, args...).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually waits for something that others do.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(longWait); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", longWait, what)
		}
	}
}

// awaitBlocked waits until n sessions of the database wait for locks of others.
func awaitBlocked(t testing.TB, db *pgtest.Database, n int) {
	t.Helper()
	eventually(t, "sessions wait for a lock", func() bool {
		return number(t, db, `
			SELECT count(*)
			FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`) == n
	})
}

// receive waits for a value.
func receive[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(longWait):
		t.Fatalf("waited %s in vain: %s", longWait, what)
	}
	return v
}

// patient is a configuration with which nothing happens by the clock during a test.
func patient() Config {
	return Config{
		CallTimeout: longWait, SettleTimeout: longWait, Lease: time.Hour, Batch: 100, PollInterval: time.Hour,
		BreakerStreak: 5, LongestDelay: time.Hour,
		Backoff: func(string) Backoff { return Backoff{Base: time.Millisecond, Cap: time.Millisecond} },
	}
}

// restless is a configuration that looks at the outbox all the time.
func restless() Config {
	c := patient()
	c.PollInterval = 2 * time.Millisecond
	return c
}

func newWorker(db *pgtest.Database, c Config, g *greeter) *Worker {
	return NewWorker(c, NewQueue(db.Pool, g.table, "HELLO", c.Lease), g, discard)
}

// start runs a worker. The function that it returns tells the worker to stop; the channel is closed when it has. It is
// stopped at the end of the test at the latest.
func start(t testing.TB, w *Worker) (stop context.CancelFunc, stopped <-chan struct{}) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan struct{})
	go func() {
		defer close(end)
		w.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-end
	})
	return stop, end
}
