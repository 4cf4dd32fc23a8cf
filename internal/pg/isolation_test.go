package pg_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// Whatever the database's default is, a transaction and a statement by itself name their isolation; and what writes has
// the same bounds in either way, which are the server's to keep.
func TestIsolationIsNamed(t *testing.T) {
	t.Parallel()
	const query = `
		SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'),
			current_setting('lock_timeout'), current_setting('statement_timeout'),
			current_setting('idle_in_transaction_session_timeout'), current_setting('client_min_messages')`
	read := func(rows pgx.Rows, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectExactlyOneRow(rows, toText)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const write, reading = "read committed off 3s 10s 10s warning", "read committed on 0 0 0 notice"
	for _, level := range []string{"serializable", "repeatable read"} {
		db := pgtest.Empty(t)
		execute(t, db.Pool, fmt.Sprintf(`ALTER DATABASE %s SET default_transaction_isolation = '%s'`,
			db.Pool.Config().ConnConfig.Database, level))
		pool := reopened(t, db)
		for range 2 { // a statement is described when a connection first meets it
			var inTx string
			if err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) error {
				inTx = read(tx.Query(t.Context(), query))
				return nil
			}); err != nil || inTx != write {
				t.Errorf("%s: got %v, %q in a transaction, want %q", level, err, inTx, write)
			}
			alone, err := pg.Write(t.Context(), pool, toText, query)
			if err != nil || len(alone) != 1 || alone[0] != write {
				t.Errorf("%s: got %v, %q of a statement that writes, want %q", level, err, alone, write)
			}
			if got := read(pg.Query(t.Context(), pool, query)); got != reading {
				t.Errorf("%s: got %q of one that reads, want %q", level, got, reading)
			}
		}
		const nothing = " off 0 0 0 notice"
		if got := read(pool.Query(t.Context(), query)); got != level+nothing {
			t.Errorf("outside: got %q, want the session as it was: %q", got, level+nothing)
		}
	}
}

func toText(row pgx.CollectableRow) (string, error) {
	values, err := row.Values()
	return strings.Trim(fmt.Sprint(values), "[]"), err
}

func reopened(t *testing.T, db *pgtest.Database) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL + "&pool_max_conns=1", Application: "again"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// What goes wrong with a statement is told, and the connection is given back, or closed where the statement's
// transaction stands failed; and what is not read to its end is.
func TestAStatementByItselfGivesItsConnectionBack(t *testing.T) {
	t.Parallel()
	pool := reopened(t, notes(t))
	for n := range 3 {
		err := pg.Exec(t.Context(), pool, `INSERT INTO notes VALUES ($1), ($1)`, n)
		if pg.Classify(err) != pg.Unexpected {
			t.Errorf("a row twice: got %v, want a refusal that is certain", err)
		}
		if err := pg.Exec(t.Context(), pool, `INSERT INTO notes VALUES ($1)`, n); err != nil {
			t.Errorf("a row: got %v", err)
		}
		err = pg.Exec(t.Context(), pool, `INSERT INTO nowhere VALUES ($1)`, n)
		if pg.Classify(err) != pg.Misconfigured {
			t.Errorf("no table: got %v, want that it is misconfigured", err)
		}
		rows, err := pg.Query(t.Context(), pool, `SELECT 1 / n FROM notes ORDER BY n DESC`)
		if err == nil {
			_, err = pgx.CollectRows(rows, toText)
		}
		if err == nil {
			t.Error("a division by zero: got no error")
		}
		many, err := pg.Query(t.Context(), pool, `SELECT generate_series(1, 100000)`)
		if err != nil || !many.Next() {
			t.Errorf("many rows: got %v, want a first one", err)
		}
		many.Close()
		if err := many.Err(); err != nil {
			t.Errorf("many rows, left unread: got %v", err)
		}
	}
}
