package pg_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// Writers, readers and readiness share three sessions of a pooler in transaction mode, more of them than there are
// sessions. None meets what another has set, and nothing is left behind.
func TestNothingIsLeftBehindInAPoolersSessions(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	execute(t, db.Pool, `CREATE TABLE notes (n integer)`)
	url := pgtest.Pooler(t, db.URL, map[string]string{"default_pool_size": "3"}) +
		"&default_query_exec_mode=cache_describe"
	guard := pg.NewGuard(discard, true)
	pools, err := pg.OpenPools(t.Context(), pg.Config{URL: url, Application: "test", Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pools.Close)
	ready := guard.Ready(pools.Readiness, func(context.Context) error { return nil })
	var using sync.WaitGroup
	use := func(what string, f func() error) {
		using.Go(func() {
			for range 30 {
				if err := f(); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	for n := range 4 {
		use("a transaction", func() error {
			return pg.InTx(t.Context(), pools.Writes, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO notes VALUES ($1)`, n)
				return err
			})
		})
		use("a statement", func() error {
			return pg.Exec(t.Context(), pools.Writes, `INSERT INTO notes VALUES ($1)`, n)
		})
		use("a query", func() error {
			rows, err := pg.Query(t.Context(), pools.Reads, `SELECT n FROM notes WHERE n = $1 LIMIT 9`, n)
			if err == nil {
				_, err = pgx.CollectRows(rows, pgx.RowTo[int])
			}
			return err
		})
		use("a pipeline", func() error {
			return pg.Pipeline(t.Context(), pools.Writes, noteEach(n, n))
		})
		use("a refused statement", func() error {
			err := pg.Exec(t.Context(), pools.Writes, `SELECT 1 / $1`, 0)
			if err == nil || !strings.Contains(err.Error(), "division by zero") {
				return fmt.Errorf("got %w, want a division by zero", err)
			}
			return nil
		})
	}
	use("readiness", func() error { return ready(t.Context()) })
	using.Wait()
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 4*4*30 {
		t.Errorf("got %d notes, want %d", got, 4*4*30)
	}
	cleanSessions(t, pools.Writes, 3)
}

// cleanSessions looks at each of a pooler's sessions, all of which it has at once. The settings that PgBouncer carries
// along from one session to the next are its client's own.
func cleanSessions(t *testing.T, pool *pgxpool.Pool, sessions int) {
	t.Helper()
	for range sessions {
		tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		var left []string
		err = tx.QueryRow(t.Context(), `
			SELECT ARRAY(
				SELECT name || ' = ' || setting
				FROM pg_settings
				WHERE source = 'session' AND name NOT IN (
					'application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings',
					'transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
				UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements WHERE name <> ''
				UNION ALL SELECT 'LISTEN ' || channel FROM pg_listening_channels() AS channel
				UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
			)`).Scan(&left)
		if err != nil || len(left) > 0 {
			t.Errorf("a session was left with %q, %v; want nothing", left, err)
		}
	}
}

// A pooler lends a session in which another process has LISTEN. What comes there is nobody's, and is not kept.
func TestAPoolKeepsNoNotificationsOfOthers(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	conn, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, statement := range []string{`LISTEN wakeups`, `NOTIFY wakeups`, `UNLISTEN wakeups`} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	over, end := context.WithCancel(t.Context())
	end()
	if note, err := conn.Conn().WaitForNotification(over); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v, want none", note, err)
	}
}

// PgBouncer lets a connection begin only with what it can carry from session to session. What we always send is among
// that. Of what a URL may hold, this is not; whoever connects is told which it is.
func TestWhatAPoolerRefusesOfAURLIsNamed(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	url := pgtest.Pooler(t, db.URL, nil)
	for name, value := range map[string]string{
		"options": "-cwork_mem%3D1MB", "search_path": "public", "role": "postgres", "statement_timeout": "1s",
		"lock_timeout": "1s", "synchronous_commit": "on", "idle_session_timeout": "1s",
	} {
		pool, err := pg.Open(t.Context(), pg.Config{URL: url + "&" + name + "=" + value, Application: "test"})
		if err != nil {
			t.Fatal(err)
		}
		err = pg.Exec(t.Context(), pool, `SELECT 1`)
		if err == nil || !strings.Contains(err.Error(), "unsupported startup parameter: "+name) ||
			pg.Classify(err) == pg.Unexpected {
			t.Errorf("%s: got %v (%v), want that it is refused", name, err, pg.Classify(err))
		}
		pool.Close()
	}
	for _, accepted := range []string{
		"timezone=UTC", "target_session_attrs=read-write", "pool_max_conns=3",
		"default_query_exec_mode=cache_statement",
	} {
		pool, err := pg.Open(t.Context(), pg.Config{URL: url + "&" + accepted, Application: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := pg.Exec(t.Context(), pool, `SELECT 1`); err != nil {
			t.Errorf("%s: %v", accepted, err)
		}
		pool.Close()
	}
}

// Callers give up at about the time at which their statements end, behind a pooler that lends one session to many. No
// cancel request ends what somebody else has there, a COMMIT least of all, and the pooler lives on: there are releases
// of PgBouncer that end with everybody's connections when a cancel request is not waited for.
func TestACancelRequestMeetsNobodyElseBehindAPooler(t *testing.T) {
	t.Parallel()
	slow.Test(t, "gives up hundreds of statements")
	db := notes(t)
	url := pgtest.Pooler(t, db.URL, map[string]string{"default_pool_size": "3"})
	hasty, patient := openAt(t, url), openAt(t, url)
	ctx, stop := context.WithCancel(t.Context())
	var giving, writing sync.WaitGroup
	defer giving.Wait()
	defer stop()
	for range 6 {
		giving.Go(func() {
			for ctx.Err() == nil {
				short, cancel := context.WithTimeout(ctx, 4*time.Millisecond+rand.N(4*time.Millisecond))
				_ = pg.InTx(short, hasty, func(tx pgx.Tx) error { // may or may not be in time
					_, err := tx.Exec(short, `SELECT pg_sleep(0.003)`)
					return err
				})
				cancel()
			}
		})
	}
	times := slow.Times(100, 2000)
	for writer := range 4 {
		writing.Go(func() {
			for n := range times {
				if err := pg.Exec(t.Context(), patient, `INSERT INTO notes VALUES ($1)`, writer*times+n); err != nil {
					t.Errorf("who gave nothing up: %v", err)
					return
				}
			}
		})
	}
	writing.Wait()
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 4*times {
		t.Errorf("got %d rows, want %d", got, 4*times)
	}
}

func openAt(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: url, Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
