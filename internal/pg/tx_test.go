package pg_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// notes is a database with one table, on a pool as the daemons have it.
func notes(t *testing.T) *pgtest.Database {
	t.Helper()
	db := pgtest.Empty(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Application: "notes"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	execute(t, pool, `CREATE TABLE notes (n integer PRIMARY KEY)`)
	return &pgtest.Database{Pool: pool, URL: db.URL}
}

func insert(ctx context.Context, tx pgx.Tx, n int) error {
	_, err := tx.Exec(ctx, `INSERT INTO notes VALUES ($1)`, n)
	return err
}

func TestInTxCommits(t *testing.T) {
	t.Parallel()
	db := notes(t)
	if err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error { return insert(t.Context(), tx, 1) }); err != nil {
		t.Fatal(err)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
}

func TestInTxRollsBackAndKeepsTheError(t *testing.T) {
	t.Parallel()
	db := notes(t)
	fault := errors.New("a fault")
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		return errors.Join(insert(t.Context(), tx, 1), fault)
	})
	if !errors.Is(err, fault) || errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got error %v, want the fault as it is", err)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 0 {
		t.Errorf("got %d rows, want none", got)
	}
}

func TestInTxStartsOverWhenTransactionsCollide(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		collisions, calls int
		want              pg.Fault
	}{{1, 2, pg.Unexpected}, {2, 3, pg.Unexpected}, {3, 3, pg.Collision}} {
		db := notes(t)
		calls := 0
		err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			calls++
			if err := insert(t.Context(), tx, calls); err != nil {
				return err
			}
			if calls <= test.collisions {
				_, err := tx.Exec(t.Context(), `DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$`)
				return err
			}
			return nil
		})
		if got := pg.Classify(err); got != test.want || calls != test.calls {
			t.Errorf("%d collisions: got %d calls and %v, want %d calls", test.collisions, calls, err, test.calls)
		}
		if got := count(t, db.Pool, `SELECT count(*) FROM notes`); (got == 1) != (err == nil) {
			t.Errorf("%d collisions: got %d rows, want one if it was told to have happened", test.collisions, got)
		}
	}
}

// Two transactions wait for each other's row. One of them is refused by the database and starts over, and when the
// other has ended, both have happened.
func TestInTxOutlivesADeadlock(t *testing.T) {
	t.Parallel()
	db := notes(t)
	execute(t, db.Pool, `INSERT INTO notes VALUES (1), (2)`)
	execute(t, db.Pool, `ALTER TABLE notes ADD COLUMN times integer NOT NULL DEFAULT 0`)
	var holding, ended [2]chan struct{}
	for i := range 2 {
		holding[i], ended[i] = make(chan struct{}), make(chan struct{})
	}
	var calls atomic.Int32
	for i := range 2 {
		go func() {
			defer close(ended[i])
			first := true
			err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
				calls.Add(1)
				if !first {
					<-ended[1-i]
				}
				const update = `UPDATE notes SET times = times + 1 WHERE n = $1`
				if _, err := tx.Exec(t.Context(), update, i+1); err != nil {
					return err
				}
				if first {
					first = false
					close(holding[i])
					<-holding[1-i]
				}
				_, err := tx.Exec(t.Context(), update, 2-i)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}()
	}
	for i := range 2 {
		receive(t, "the end of a transaction", ended[i])
	}
	if got := count(t, db.Pool, `SELECT sum(times) FROM notes`); got != 4 {
		t.Errorf("got %d updates, want both of both", got)
	}
	if got := calls.Load(); got != 3 {
		t.Errorf("got %d calls, want one that started over", got)
	}
}

// atCommit makes a trigger that runs at COMMIT.
func atCommit(t *testing.T, db *pgtest.Database, body string) {
	t.Helper()
	execute(t, db.Pool,
		`CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+body+`; RETURN NULL; END $$`)
	execute(t, db.Pool, `CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION at_commit()`)
}

// The backend dies within the COMMIT. Whether it happened cannot be told from the client's end, so that nothing
// definite is said, and nothing is done again.
func TestInTxSaysWhenACommitHadNoAnswer(t *testing.T) {
	t.Parallel()
	db := notes(t)
	atCommit(t, db, `PERFORM pg_terminate_backend(pg_backend_pid())`)
	calls := 0
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		calls++
		return insert(t.Context(), tx, calls)
	})
	if !errors.Is(err, pg.ErrCommitUnknown) || pg.Classify(err) != pg.CommitUnknown || calls != 1 {
		t.Errorf("got %v after %d calls, want ErrCommitUnknown after one", err, calls)
	}
}

// A caller that gives up during the COMMIT does not know how it ended either.
func TestInTxSaysSoWhenItsCallerGaveUpDuringTheCommit(t *testing.T) {
	t.Parallel()
	db := notes(t)
	atCommit(t, db, `PERFORM pg_advisory_xact_lock(1)`)
	holder, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(context.WithoutCancel(t.Context()))
	if _, err := holder.Exec(t.Context(), `SELECT pg_advisory_xact_lock(1)`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		result <- pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error { return insert(ctx, tx, 1) })
	}()
	for waiting := 0; waiting == 0; {
		waiting = count(t, db.Pool, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)
	}
	cancel()
	if err := receive(t, "the end of the transaction", result); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got %v, want ErrCommitUnknown", err)
	}
}

// The database answers the COMMIT, and refuses it: that is definite.
func TestInTxBelievesADatabaseThatRefusesTheCommit(t *testing.T) {
	t.Parallel()
	t.Run("a constraint", func(t *testing.T) {
		t.Parallel()
		db := notes(t)
		atCommit(t, db, `RAISE EXCEPTION USING ERRCODE = 'check_violation'`)
		err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error { return insert(t.Context(), tx, 1) })
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "23514" || errors.Is(err, pg.ErrCommitUnknown) {
			t.Errorf("got %v, want the check_violation", err)
		}
	})
	t.Run("a collision", func(t *testing.T) {
		t.Parallel()
		db := notes(t)
		atCommit(t, db, `IF NEW.n < 3 THEN RAISE SQLSTATE '40001'; END IF`)
		calls := 0
		err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			calls++
			return insert(t.Context(), tx, calls)
		})
		if err != nil || calls != 3 {
			t.Errorf("got %v after %d calls, want the third to succeed", err, calls)
		}
	})
	t.Run("a failure that the caller hid", func(t *testing.T) {
		t.Parallel()
		db := notes(t)
		err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			_, _ = tx.Exec(t.Context(), `SELECT 1 / 0`)
			return nil
		})
		if !errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, pg.ErrCommitUnknown) {
			t.Errorf("got %v, want ErrTxCommitRollback", err)
		}
	})
}

func TestOpenMakesThePoolThatTheDaemonsNeed(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Application: "a daemon"})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if got := count(t, pool, `
		SELECT count(*)
		FROM pg_stat_activity
		WHERE pid = pg_backend_pid() AND application_name = 'a daemon'`); got != 1 {
		t.Error("the sessions do not bear the daemon's name")
	}
	if got := pool.Config().MaxConns; got != pg.DefaultMaxConns {
		t.Errorf("got %d connections at most, want %d", got, pg.DefaultMaxConns)
	}
	wrong := pg.Config{URL: "postgres://user:secret@host:port/", Application: "a daemon"}
	if _, err := pg.Open(t.Context(), wrong); err == nil {
		t.Error("got no error for a port that is no number")
	}
}

// queries is a tracer that keeps what it is told.
type queries struct{ begun, ended chan string }

func (q queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.begun <- data.SQL
	return ctx
}

func (q queries) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	q.ended <- data.CommandTag.String()
}

func TestATracerIsToldOfEachQuery(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	told := queries{make(chan string, 10), make(chan string, 10)}
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Tracer: told})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	execute(t, pool, `SELECT 1`)
	if got := receive(t, "a query", told.begun); got != `SELECT 1` {
		t.Errorf("got the query %q, want SELECT 1", got)
	}
	if got := receive(t, "its end", told.ended); got != "SELECT 1" {
		t.Errorf("got its end %q, want the tag SELECT 1", got)
	}
}

// A process stands still in the middle of a transaction, or its host is gone: the server ends the session after a
// while, and the rows are free again. The next transaction of the connection is bound alike; statements outside of one
// are not.
func TestASessionThatStandsStillInATransactionIsEnded(t *testing.T) {
	t.Parallel()
	db := notes(t)
	const bound = `SELECT setting::integer FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'`
	for range 2 {
		var level string
		var milliseconds int
		err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			if err := tx.QueryRow(t.Context(),
				`SELECT current_setting('transaction_isolation')`).Scan(&level); err != nil {
				return err
			}
			return tx.QueryRow(t.Context(), bound).Scan(&milliseconds)
		})
		if err != nil || level != "read committed" || milliseconds != 10_000 {
			t.Errorf("got %v, %s, %d ms; want read committed, and 10 s", err, level, milliseconds)
		}
	}
	if got := count(t, db.Pool, bound); got != 0 {
		t.Errorf("outside of a transaction: got %d ms, want the server's own 0", got)
	}

	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		if err := insert(t.Context(), tx, 1); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `SET LOCAL idle_in_transaction_session_timeout = '1ms'`); err != nil {
			return err
		}
		for standing := 1; standing > 0; {
			standing = count(t, db.Pool, `
				SELECT count(*)
				FROM pg_locks
				WHERE relation = 'notes'::regclass AND mode = 'RowExclusiveLock'`)
		}
		return insert(t.Context(), tx, 2)
	})
	if pg.Classify(err) != pg.Unreachable {
		t.Errorf("got %v, want an error that says that nothing was written", err)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 0 {
		t.Errorf("got %d rows, want none", got)
	}
}

// Somebody has the only connection and keeps it. Whoever comes next is told so, with no deadline of its own.
func TestInTxDoesNotWaitForAConnectionForEver(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL + "&pool_max_conns=1", Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = pg.InTx(t.Context(), pool, func(pgx.Tx) error { return nil })
	if got := pg.Classify(err); !errors.Is(err, pg.ErrBusy) || got != pg.Busy {
		t.Errorf("got %d of %v, want Busy", got, err)
	}
	if err == nil || !strings.Contains(err.Error(), "all 1 connections of the pool are in use") {
		t.Errorf("got %v, want an error that says where the connections are", err)
	}
	held.Release()
	if err := pg.InTx(t.Context(), pool, func(pgx.Tx) error { return nil }); err != nil {
		t.Errorf("when it is free again: got %v", err)
	}
}

// Whoever gets the connection of a transaction that has ended may begin another: nothing is unanswered then.
func TestABusyPoolIsNotTakenForCommitsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL + "&pool_max_conns=2", Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for range 50 {
				err := pg.InTx(t.Context(), pool, func(pgx.Tx) error { return nil })
				if errors.Is(err, pg.ErrUnanswered) {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
}
