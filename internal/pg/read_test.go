package pg_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// patient opens a pool on which a statement that reads has so long.
func patient(t testing.TB, address string, d time.Duration) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{
		URL: address, Application: "test", MaxConns: 1, StatementTimeout: d,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// A statement that reads for too long is ended by the server, and whoever asked is told that there was too much to do:
// it is no fault of the program, and the database can be reached. The connection's next reader is not felt by it.
func TestAReadThatTakesTooLongIsEnded(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	pool := patient(t, db.URL, 50*time.Millisecond)
	const long, short = `SELECT 1 FROM pg_sleep(60)`, `SELECT 7`
	for name, read := range map[string]func(ctx context.Context, sql string) error{
		"a statement": func(ctx context.Context, sql string) error {
			_, err := ask(ctx, pool, sql)
			return err
		},
		"a snapshot": func(ctx context.Context, sql string) error {
			return pg.Snapshot(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, sql)
				return err
			})
		},
	} {
		if err := read(t.Context(), long); !errors.Is(err, pg.ErrBusy) || pg.Classify(err) != pg.Busy {
			t.Errorf("%s: got %v, want %v", name, err, pg.ErrBusy)
		}
		if err := read(t.Context(), short); err != nil {
			t.Errorf("%s: the next one: got %v", name, err)
		}
		hasty, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := read(hasty, long); errors.Is(err, pg.ErrBusy) || err == nil {
			t.Errorf("%s whose caller has less time: got %v, want the caller's own end", name, err)
		}
		cancel()
	}
}

// A statement may be given more time than the pool's others, or less, and the next one has what they have.
func TestAReadMayHaveAnotherBoundThanThePools(t *testing.T) {
	t.Parallel()
	pool := patient(t, pgtest.Empty(t).URL, 1234*time.Millisecond)
	const bound = `SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'`
	for _, tt := range []struct {
		patience time.Duration
		want     int
	}{{time.Minute, 60000}, {0, 1234}, {time.Minute, 60000}, {time.Second, 1000}, {0, 1234}} {
		rows, err := pg.QueryPatiently(t.Context(), pool, tt.patience, bound)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
		if err != nil || got != tt.want {
			t.Errorf("patience %s: got %d ms, error %v; want %d", tt.patience, got, err, tt.want)
		}
	}
	rows, err := pg.QueryPatiently(t.Context(), pool, time.Millisecond, `SELECT 1 FROM pg_sleep(60)`)
	if err == nil {
		_, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	}
	if !errors.Is(err, pg.ErrBusy) || !strings.Contains(err.Error(), "longer than 1ms") {
		t.Errorf("got %v, want %v that says after which time", err, pg.ErrBusy)
	}
}

// The table is locked before the connection has ever read from it, as it is for a new one while somebody migrates. What
// pgx asks of the server about the statement waits for the same lock.
func TestTheFirstReadIsEndedAsWell(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	execute(t, db.Pool, `CREATE TABLE notes (id int)`)
	pool := patient(t, db.URL, 50*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	const read = `SELECT count(*)::int FROM notes`
	err := pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE notes IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		for range 2 {
			if _, err := ask(ctx, pool, read); !errors.Is(err, pg.ErrBusy) {
				t.Errorf("got %v, want %v", err, pg.ErrBusy)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := ask(ctx, pool, read); err != nil || got != 0 {
			t.Errorf("after it: got %d, error %v; want 0", got, err)
		}
	}
}

// The bound is the transaction's: a pooler gives the session to somebody else after it.
func TestTheBoundOfAReadIsNoStateOfTheSession(t *testing.T) {
	t.Parallel()
	pool := patient(t, pgtest.Empty(t).URL, 1234*time.Millisecond)
	const bound = `SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'`
	if got, err := ask(t.Context(), pool, bound); err != nil || got != 1234 {
		t.Errorf("got %d ms, error %v; want 1234", got, err)
	}
	err := pg.Snapshot(t.Context(), pool, func(tx pgx.Tx) error {
		var milliseconds int
		var level string
		err := tx.QueryRow(t.Context(), `SELECT current_setting('transaction_isolation'), (`+bound+`)`).
			Scan(&level, &milliseconds)
		if milliseconds != 1234 || level != "repeatable read" {
			t.Errorf("got %d ms and %s, want 1234 ms and repeatable read", milliseconds, level)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if got := count(t, pool, bound); got != 0 {
		t.Errorf("outside of a transaction: got %d ms, want the server's own 0", got)
	}
}
