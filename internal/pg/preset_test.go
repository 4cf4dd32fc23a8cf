package pg_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// inForce is all that transactions have set: by themselves, or from the beginning of their session.
const inForce = `
	SELECT current_setting('transaction_isolation'), current_setting('lock_timeout'),
		current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'),
		current_setting('client_min_messages'), current_setting('plan_cache_mode'),
		current_setting('enable_seqscan'), current_setting('enable_bitmapscan'), current_setting('enable_mergejoin'),
		current_setting('enable_sort'), current_setting('jit')`

// A daemon's statements are bounded and planned alike whether its sessions begin that way or a pooler has each
// transaction say so, which refuses what is asked of it or passes over it, and whatever the URL and the database say.
func TestADaemonsTransactionsAreTheSameThroughAPooler(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	execute(t, db.Pool, `ALTER DATABASE `+db.Pool.Config().ConnConfig.Database+`
		SET default_transaction_isolation = 'serializable'`)
	ignoring := pgtest.Pooler(t, db.URL, map[string]string{
		"ignore_startup_parameters": "hosho.session, default_transaction_isolation, statement_timeout, lock_timeout, " +
			"idle_in_transaction_session_timeout, client_min_messages, plan_cache_mode, enable_seqscan, " +
			"enable_bitmapscan, enable_mergejoin, jit",
	})
	for name, url := range map[string]string{
		"the server":            db.URL + "&statement_timeout=7s&options=-cenable_seqscan%3Don",
		"a pooler that refuses": pgtest.Pooler(t, db.URL, nil),
		"a pooler that is told": pgtest.Pooler(t, db.URL, nil) + "&default_query_exec_mode=cache_describe",
		"a pooler that ignores": ignoring,
	} {
		pools, err := pg.OpenPools(t.Context(), pg.Config{URL: url, Application: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pools.Close)
		for range 2 { // a statement is described when a connection first meets it
			wrote, err := pg.Write(t.Context(), pools.Writes, toText, inForce)
			const write = "read committed 3s 10s 10s warning force_generic_plan off off off on off"
			if err != nil || !slices.Equal(wrote, []string{write}) {
				t.Errorf("%s: got %q and %v of what writes, want %q", name, wrote, err, write)
			}
			var inTx string
			err = pg.InTx(t.Context(), pools.Writes, func(tx pgx.Tx) (err error) {
				rows, _ := tx.Query(t.Context(), inForce) // CollectExactlyOneRow returns the error
				inTx, err = pgx.CollectExactlyOneRow(rows, toText)
				return err
			})
			if err != nil || inTx != write {
				t.Errorf("%s: got %q and %v in a transaction, want %q", name, inTx, err, write)
			}
			for want, query := range map[string]func() (pgx.Rows, error){
				"5s force_generic_plan off off off on": func() (pgx.Rows, error) {
					return pg.Query(t.Context(), pools.Reads, inForce)
				},
				"5s force_custom_plan on on on off": func() (pgx.Rows, error) {
					return pg.QueryInOrder(t.Context(), pools.Reads, inForce+` WHERE $1`, true)
				},
				"5s force_custom_plan on on on on": func() (pgx.Rows, error) {
					return pg.QueryWhole(t.Context(), pools.Reads, inForce+` WHERE $1 OR $2`, true, true)
				},
			} {
				rows, err := query()
				if err != nil {
					t.Fatal(err)
				}
				got, err := pgx.CollectExactlyOneRow(rows, toText)
				had := strings.Fields(got)
				if err != nil || len(had) != 12 {
					t.Fatalf("%s: got %q and %v", name, got, err)
				}
				if got := strings.Join(append([]string{had[3]}, had[6:11]...), " "); got != want {
					t.Errorf("%s: got %q of what reads, want %q", name, got, want)
				}
			}
		}
	}
}

// What a daemon writes or reads with one statement, over a connection that is its own, is that statement and nothing
// else.
func TestASingleStatementIsATransactionByItself(t *testing.T) {
	t.Parallel()
	db := notes(t)
	pools, err := pg.OpenPools(t.Context(), pg.Config{URL: db.URL + "&pool_max_conns=1", Application: "single"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pools.Close)
	const insert, read = `INSERT INTO notes VALUES ($1)`, `SELECT count(*)::int FROM notes WHERE n < $1`
	for n := range 3 {
		if err := pg.Exec(t.Context(), pools.Writes, insert, n); err != nil {
			t.Fatal(err)
		}
		rows, _ := pg.Query(t.Context(), pools.Writes, read, 9) // CollectExactlyOneRow returns the error
		if got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int]); err != nil || got != n+1 {
			t.Fatalf("got %d notes, %v; want %d", got, err, n+1)
		}
	}
	var prepared []string
	err = pools.Writes.QueryRow(t.Context(), `SELECT array_agg(statement ORDER BY statement) FROM pg_prepared_statements
		WHERE statement NOT LIKE '%pg_prepared%'`).Scan(&prepared)
	if want := []string{insert, read}; err != nil || !slices.Equal(prepared, want) {
		t.Errorf("got the statements %q, %v; want %q", prepared, err, want)
	}
}

// A statement that writes where one is to read is refused, although what reads is sent by itself.
func TestASingleReadDoesNotWrite(t *testing.T) {
	t.Parallel()
	db := notes(t)
	pools, err := pg.OpenPools(t.Context(), pg.Config{URL: db.URL, Application: "single"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pools.Close)
	for _, pool := range []*pgxpool.Pool{pools.Reads, pools.Writes} {
		for range 3 {
			rows, _ := pg.Query(t.Context(), pool, returning, 1) // CollectRows returns the error
			_, err := pgx.CollectRows(rows, pgx.RowTo[int])
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "25006" {
				t.Errorf("got %v, want that it is refused: read_only_sql_transaction", err)
			}
		}
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 0 {
		t.Errorf("got %d notes, want none", got)
	}
}

// A commit that fails is told of where the statement itself went well, and nothing has happened; where the connection
// is lost by then, that is not known.
func TestASingleStatementTellsOfItsCommit(t *testing.T) {
	t.Parallel()
	for body, known := range map[string]bool{
		`RAISE EXCEPTION 'not this one'`:                 true,
		`PERFORM pg_terminate_backend(pg_backend_pid())`: false,
	} {
		db := notes(t)
		atCommit(t, db, body)
		pools, err := pg.OpenPools(t.Context(), pg.Config{URL: db.URL, Application: "single"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pools.Close)
		for range 2 {
			rows, err := pg.Write(t.Context(), pools.Writes, pgx.RowTo[int], returning, 1)
			if fault := pg.Classify(err); err == nil || (fault != pg.CommitUnknown) != known {
				t.Errorf("%s: got %v, %v; want an error, and a known end: %v", body, rows, err, known)
			}
		}
		if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 0 {
			t.Errorf("%s: got %d notes, want none", body, got)
		}
	}
}
