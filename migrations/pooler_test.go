package migrations_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
	"hosho/internal/wait"
	"hosho/migrations"
)

// sessions is how many sessions of the server a pooler has in these tests.
const sessions = 3

func pooler(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	return pgtest.Pooler(t, db.URL, map[string]string{"default_pool_size": "3"})
}

// The URL leads through a pooler in transaction mode: each transaction has whatever session is free, and who comes next
// has what is left behind there.
func TestMigratingThroughAPooler(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		t.Run(string(set), func(t *testing.T) {
			t.Parallel()
			db := pgtest.Empty(t)
			url := pooler(t, db)
			for _, want := range []bool{true, false, false} {
				applied, err := set.Up(t.Context(), url, nil)
				if err != nil || (len(applied) > 0) != want {
					t.Fatalf("Up: got versions %v applied, %v; want some: %v", applied, err, want)
				}
			}
			check(t, set, db, nil)
			leftNothingBehind(t, url)
			if err := set.Down(t.Context(), url); err != nil {
				t.Fatal(err)
			}
			check(t, set, db, migrations.ErrSchema)
			leftNothingBehind(t, url)
		})
	}
}

// Five replicas are rolled out at once, through the pooler.
func TestConcurrentUpThroughAPooler(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	url := pgtest.Pooler(t, db.URL, nil)
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		applied []int64
	)
	for range 5 {
		wg.Go(func() {
			versions, err := migrations.Orders.Up(t.Context(), url, nil)
			if err != nil {
				t.Errorf("concurrent Up: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, versions...)
		})
	}
	wg.Wait()
	check(t, migrations.Orders, db, nil)
	slices.Sort(applied)
	if once := slices.Compact(slices.Clone(applied)); len(once) != len(applied) {
		t.Errorf("got versions %v applied, want each once", applied)
	}
}

// fromLocks is the advisory locks of this database.
const fromLocks = `
	FROM pg_locks
	JOIN pg_database AS d ON d.oid = database
	WHERE locktype = 'advisory' AND datname = current_database()`

// leftNothingBehind looks at each of the pooler's sessions, all of which it has at once, each in a transaction.
func leftNothingBehind(t *testing.T, url string) {
	t.Helper()
	url += "&default_query_exec_mode=cache_describe"
	pool, err := pg.Open(t.Context(), pg.Config{URL: url, Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for range sessions {
		tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		var lockTimeout string
		var locks, statements int
		err = tx.QueryRow(t.Context(), `
			SELECT current_setting('lock_timeout'),
				(SELECT count(*) FROM pg_prepared_statements WHERE name <> ''),
				(SELECT count(*) `+fromLocks+`)`).
			Scan(&lockTimeout, &statements, &locks)
		if err != nil {
			t.Fatal(err)
		}
		if lockTimeout != "0" || statements != 0 || locks != 0 {
			t.Errorf("a session after migrating: got lock_timeout %s, %d named statements and %d advisory locks; "+
				"want 0, none and none", lockTimeout, statements, locks)
		}
	}
}

// The session that holds the lock ends while a migration runs, as when a pooler or a server restarts. That migration is
// whole, and no other is begun without the lock.
func TestNothingIsMigratedWithoutTheLock(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	folder := fstest.MapFS{
		"00001_lost.sql":  {Data: []byte("-- +goose Up\nSELECT pg_terminate_backend(pid, 10000) " + fromLocks + ";\n")},
		"00002_table.sql": {Data: []byte("-- +goose Up\nCREATE TABLE others ();\n")},
	}
	applied, err := migrations.Apply(t.Context(), db.URL, folder, nil)
	if !errors.Is(err, migrations.ErrLockLost) || !slices.Equal(applied, []int64{1}) {
		t.Errorf("got versions %v applied, and %v; want 1 alone, and %v", applied, err, migrations.ErrLockLost)
	}
}

// A release before this one holds the lock in its session. It is waited for, with no transaction open: whoever has the
// lock may build an index CONCURRENTLY, which waits for all that had a snapshot.
func TestMigrationsWaitForThoseOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	slow.Test(t, "asks for the lock each second")
	db := pgtest.Empty(t)
	earlier, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer earlier.Release()
	const lock = `(4097083626)` // lock.DefaultLockID of goose
	if _, err := earlier.Exec(t.Context(), `SELECT pg_advisory_lock`+lock); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := migrations.Orders.Up(t.Context(), db.URL, nil)
		ended <- err
	}()
	awaitTrue(t, db, `
		SELECT EXISTS (
			SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle' AND query = 'ROLLBACK'
		)`)
	select {
	case err := <-ended:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	if _, err := earlier.Exec(t.Context(), `SELECT pg_advisory_unlock`+lock); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A pooler that has one session in all can lend none beside that of the lock. Nobody waits for it for minutes.
func TestMigratingThroughAPoolerOfOneSession(t *testing.T) {
	t.Parallel()
	slow.Long(t, "waits for a second session")
	url := pgtest.Pooler(t, pgtest.Empty(t).URL, map[string]string{"default_pool_size": "1"})
	_, err := migrations.Orders.Up(t.Context(), url, nil)
	if err == nil || !strings.Contains(err.Error(), "two sessions") {
		t.Errorf("got %v, want an error that asks for two sessions", err)
	}
}

// awaitTrue polls until a query returns true.
func awaitTrue(t *testing.T, db *pgtest.Database, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for done := false; !done; {
		if err := db.Pool.QueryRow(ctx, query).Scan(&done); err != nil {
			t.Fatalf("wait for %s: %v", query, err)
		}
		if !done && !wait.For(ctx, 5*time.Millisecond) {
			t.Fatalf("waited in vain for %s", query)
		}
	}
}
