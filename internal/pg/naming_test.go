package pg_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// doors are all ways to a statement. Each returns how many rows it has returned, and writes a note where it writes.
var doors = map[string]func(ctx context.Context, pool *pgxpool.Pool, n int) (int, error){
	"a transaction": func(ctx context.Context, pool *pgxpool.Pool, n int) (found int, err error) {
		err = pg.InTx(ctx, pool, func(tx pgx.Tx) error {
			found, err = rowsOf(tx.Query(ctx, returning, n))
			return err
		})
		return found, err
	},
	"a statement": func(ctx context.Context, pool *pgxpool.Pool, n int) (int, error) {
		rows, err := pg.Write(ctx, pool, pgx.RowTo[int], returning, n)
		return len(rows), err
	},
	"a pipeline": func(ctx context.Context, pool *pgxpool.Pool, n int) (found int, err error) {
		err = pg.Pipeline(ctx, pool, func(b *pgx.Batch) {
			b.Queue(`SELECT n FROM notes WHERE n = $1`, n)
			b.Queue(returning, n).Query(func(rows pgx.Rows) error {
				found, err = rowsOf(rows, nil)
				return err
			})
		})
		return found, err
	},
	"a query": func(ctx context.Context, pool *pgxpool.Pool, n int) (int, error) {
		return rowsOf(pg.Query(ctx, pool, `SELECT n FROM notes WHERE n <> $1 LIMIT 1`, n))
	},
	"a snapshot": func(ctx context.Context, pool *pgxpool.Pool, n int) (found int, err error) {
		err = pg.Snapshot(ctx, pool, func(tx pgx.Tx) error {
			found, err = rowsOf(tx.Query(ctx, `SELECT n FROM notes WHERE n <> $1 LIMIT 1`, n))
			return err
		})
		return found, err
	},
}

const returning = `INSERT INTO notes VALUES ($1) RETURNING n`

func rowsOf(rows pgx.Rows, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[int])
	return len(found), err
}

// openAll makes a daemon's pool of four connections, and what it logs.
func openAll(t *testing.T, url string) (*pgxpool.Pool, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	pools, err := pg.OpenPools(t.Context(), pg.Config{
		URL: url, Application: "test", MaxConns: 4,
		Guard: pg.NewGuard(slog.New(slog.NewTextHandler(&log, nil)), true),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pools.Close)
	return pools.Writes, &log
}

// useAll goes through each door some times, at once with all others, and wants no error and a row each time.
func useAll(t *testing.T, pool *pgxpool.Pool, times int) {
	t.Helper()
	var using sync.WaitGroup
	for name, through := range doors {
		for range 2 {
			using.Go(func() {
				for n := range times {
					if found, err := through(t.Context(), pool, n); err != nil || found != 1 {
						t.Errorf("%s: got %d rows and %v, want one", name, found, err)
						return
					}
				}
			})
		}
	}
	using.Wait()
}

const writing = 3 // doors that write

// A pooler in transaction mode gives each transaction another session, in which a name means nothing or is taken.
// Nobody has told of it: nobody who calls feels it, nothing is written twice, and the log says once what to do. From
// then on no statement has a name.
func TestAPoolerInTransactionModeIsFoundOut(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	execute(t, db.Pool, `CREATE TABLE notes (n integer); INSERT INTO notes VALUES (-1)`)
	pool, log := openAll(t, pgtest.Pooler(t, db.URL, map[string]string{"default_pool_size": "3"}))
	const times = 40
	for range 2 {
		useAll(t, pool, times)
		pool.Reset() // those that are made later know it from the beginning
	}
	if got, want := count(t, db.Pool, `SELECT count(*) FROM notes`), 1+2*2*writing*times; got != want {
		t.Errorf("got %d notes, want %d", got, want)
	}
	told := log.String()
	if strings.Count(told, "prepared statements are not kept") != 1 ||
		!strings.Contains(told, "default_query_exec_mode=cache_describe") {
		t.Errorf("got the log %s; want one line that says what to do", told)
	}
	tx, err := pool.Begin(t.Context()) // over one session
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	var before, after int
	const named = `SELECT count(*) FROM pg_prepared_statements`
	for _, got := range []*int{&before, &after} {
		if err := tx.QueryRow(t.Context(), named+` -- once more`).Scan(got); err != nil {
			t.Fatal(err)
		}
	}
	if before != after {
		t.Errorf("got %d named statements where there were %d, want no more", after, before)
	}
}

// A migration changes the type of a column that each connection has prepared statements about.
func TestAMigrationThatChangesATypeIsNotFelt(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	execute(t, db.Pool, `CREATE TABLE notes (n integer); INSERT INTO notes VALUES (-1)`)
	pool, log := openAll(t, db.URL)
	const times = 20
	for _, typ := range []string{"integer", "bigint", "smallint"} {
		execute(t, db.Pool, `ALTER TABLE notes ALTER n TYPE `+typ)
		useAll(t, pool, times)
	}
	if got, want := count(t, db.Pool, `SELECT count(*) FROM notes`), 1+3*2*writing*times; got != want {
		t.Errorf("got %d notes, want %d", got, want)
	}
	if strings.Contains(log.String(), "prepared") {
		t.Errorf("got the log %s; want nothing of it", log)
	}
}

// What is told to somebody else in the session is told by the same names: DISCARD ALL, say, in a session that a pooler
// lends on.
func TestStatementsThatAreGoneFromASessionAreFoundOut(t *testing.T) {
	t.Parallel()
	for name, through := range doors {
		db := pgtest.Empty(t)
		execute(t, db.Pool, `CREATE TABLE notes (n integer); INSERT INTO notes VALUES (-1)`)
		pool, log := openAll(t, db.URL+"&pool_max_conns=1")
		for n := range 3 {
			if found, err := through(t.Context(), pool, n); err != nil || found != 1 {
				t.Errorf("%s: got %d rows and %v, want one", name, found, err)
			}
			if got := strings.Count(log.String(), "statements are not kept"); (got == 1) != (n > 0) {
				t.Errorf("%s: got %d lines after call %d: %s", name, got, n, log)
			}
			execute(t, pool, `DEALLOCATE ALL`)
		}
	}
}

// Statements are prepared, unless the URL says otherwise. Where there is a LISTEN they never are: there is nothing to
// be gained.
func TestTheURLSaysWhetherStatementsArePrepared(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	for parameter, want := range map[string]int{
		"": 1, "&default_query_exec_mode=cache_statement": 1, "&default_query_exec_mode=cache_describe": 0,
	} {
		pool := openAt(t, db.URL+"&pool_max_conns=1"+parameter)
		const named = `SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%' || $1 || '%'`
		if got := count(t, pool, named, "LIKE"); got != want {
			t.Errorf("%s: got %d, want %d", parameter, got, want)
		}
	}
	single, err := pg.Config{URL: db.URL}.Single()
	if err != nil || single.DefaultQueryExecMode != pgx.QueryExecModeCacheDescribe {
		t.Errorf("got %v and %v, want cache_describe", single, err)
	}
	for _, wrong := range []string{"exec", "simple_protocol", "describe_exec", "prepare"} {
		if _, err := pg.Parse(db.URL + "&default_query_exec_mode=" + wrong); err == nil ||
			!strings.Contains(err.Error(), "want one of cache_statement, cache_describe") {
			t.Errorf("%s: got %v, want what it may be", wrong, err)
		}
	}
}
