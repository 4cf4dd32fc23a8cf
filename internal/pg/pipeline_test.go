package pg_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// noteEach adds a statement for each of some notes.
func noteEach(notes ...int) func(b *pgx.Batch) {
	return func(b *pgx.Batch) {
		for _, n := range notes {
			b.Queue(`INSERT INTO notes VALUES ($1)`, n)
		}
	}
}

// The second statement sees what the first has done, both belong to one transaction, and each callback gets its own
// result; also when the connection has never met them, and when it has.
func TestAPipelineIsOneTransaction(t *testing.T) {
	t.Parallel()
	db := notes(t)
	for n := range 3 {
		var inserted int64
		var transactions []string
		err := pg.Pipeline(t.Context(), db.Pool, func(b *pgx.Batch) {
			b.Queue(`INSERT INTO notes VALUES ($1)`, n).Exec(func(tag pgconn.CommandTag) error {
				inserted = tag.RowsAffected()
				return nil
			})
			b.Queue(`SELECT DISTINCT xmin::text FROM notes WHERE n = $1 UNION SELECT pg_current_xact_id()::text`, n).
				Query(func(rows pgx.Rows) (err error) {
					transactions, err = pgx.CollectRows(rows, pgx.RowTo[string])
					return err
				})
		})
		if err != nil || inserted != 1 || len(transactions) != 1 {
			t.Errorf("got %v, %d rows of transactions %q; want one row, of this one", err, inserted, transactions)
		}
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 3 {
		t.Errorf("got %d notes, want 3", got)
	}
}

// Whichever statement fails, nothing of the pipeline has happened, that is known, and the connection is as good as
// before: it has to be, since it is the only one.
func TestAnErrorInAPipelineUndoesAllOfIt(t *testing.T) {
	t.Parallel()
	db := notes(t)
	pool := openAt(t, db.URL+"&pool_max_conns=1")
	session := count(t, pool, `SELECT pg_backend_pid()`)
	const fails = `SELECT 1 / $1`
	for range 2 { // when the statements are new to the connection, and when they are not
		for name, test := range map[string]struct {
			queue func(b *pgx.Batch)
			code  string
		}{
			"the second statement": {func(b *pgx.Batch) { noteEach(1)(b); b.Queue(fails, 0) }, "22012"},
			"the first":            {func(b *pgx.Batch) { b.Queue(fails, 0); noteEach(1)(b) }, "22012"},
			"its rows": {func(b *pgx.Batch) {
				noteEach(1)(b)
				b.Queue(`SELECT 1 / (2 - n) FROM generate_series(1, 3) AS n`)
			}, "22012"},
			"what it is": {func(b *pgx.Batch) { noteEach(1)(b); b.Queue(`SELECT nothing FROM nowhere`) }, "42P01"},
		} {
			err := pg.Pipeline(t.Context(), pool, test.queue)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != test.code || errors.Is(err, pg.ErrCommitUnknown) {
				t.Errorf("%s: got %v, want %s", name, err, test.code)
			}
			if got := count(t, pool, `SELECT count(*) FROM notes`); got != 0 {
				t.Errorf("%s: got %d notes, want none", name, got)
			}
		}
	}
	if got := count(t, pool, `SELECT pg_backend_pid()`); got != session {
		t.Error("got another session, want the connection to be used again")
	}
}

// A parameter that is none never leaves this process, and its COMMIT does not either.
func TestAParameterThatCannotBeSentIsNoUnknownCommit(t *testing.T) {
	t.Parallel()
	db := notes(t)
	for range 2 {
		err := pg.Exec(t.Context(), db.Pool, `INSERT INTO notes VALUES ($1)`, struct{}{})
		if err == nil || pg.Classify(err) != pg.Unexpected {
			t.Errorf("got %v, want an error of the program", err)
		}
		if err := pg.Exec(t.Context(), db.Pool, `INSERT INTO notes SELECT $1 WHERE false`, 1); err != nil {
			t.Error(err)
		}
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 0 {
		t.Errorf("got %d notes, want none", got)
	}
}

func TestAPipelineThatCollidesStartsOver(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		collisions, calls int
		want              pg.Fault
	}{{1, 2, pg.Unexpected}, {2, 3, pg.Unexpected}, {3, 3, pg.Collision}} {
		db := notes(t)
		atCommit(t, db, fmt.Sprintf(`IF NEW.n <= %d THEN RAISE SQLSTATE '40001'; END IF`, test.collisions))
		calls := 0
		err := pg.Pipeline(t.Context(), db.Pool, func(b *pgx.Batch) {
			calls++
			noteEach(100+calls, calls)(b)
		})
		if got := pg.Classify(err); got != test.want || calls != test.calls {
			t.Errorf("%d collisions: got %d calls and %v, want %d calls", test.collisions, calls, err, test.calls)
		}
		if got := count(t, db.Pool, `SELECT count(*) FROM notes`); (got == 2) != (err == nil) {
			t.Errorf("%d collisions: got %d notes, want two if it was told to have happened", test.collisions, got)
		}
	}
}

// Nothing definite is said where the connection is lost, wherever the server was, and where a callback complains of
// what the server did.
func TestAPipelineSaysWhenItsCommitIsUnknown(t *testing.T) {
	t.Parallel()
	complaint := errors.New("not what was wanted")
	for name, test := range map[string]struct {
		body  string
		queue func(b *pgx.Batch)
	}{
		"lost at the COMMIT": {`PERFORM pg_terminate_backend(pg_backend_pid())`, noteEach(1, 2)},
		"lost before": {`NULL`, func(b *pgx.Batch) {
			noteEach(1)(b)
			b.Queue(`SELECT pg_terminate_backend(pg_backend_pid())`)
		}},
		"a callback": {`NULL`, func(b *pgx.Batch) {
			b.Queue(`INSERT INTO notes VALUES (1)`).Exec(func(pgconn.CommandTag) error { return complaint })
		}},
	} {
		db := notes(t)
		atCommit(t, db, test.body)
		calls := 0
		err := pg.Pipeline(t.Context(), db.Pool, func(b *pgx.Batch) {
			calls++
			test.queue(b)
		})
		if !errors.Is(err, pg.ErrCommitUnknown) || calls != 1 {
			t.Errorf("%s: got %v after %d calls, want ErrCommitUnknown after one", name, err, calls)
		}
	}
}

// The table is locked before the connection has ever met the statement, as it is for a new one while somebody migrates.
// What pgx asks the server about the statement waits for the same lock: the transaction that has the bounds is begun
// before.
func TestTheFirstPipelineIsBoundedAsWell(t *testing.T) {
	t.Parallel()
	db := notes(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Application: "first"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	holder, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(context.WithoutCancel(t.Context()))
	if _, err := holder.Exec(t.Context(), `LOCK TABLE notes`); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- pg.Pipeline(t.Context(), pool, noteEach(1, 2)) }()
	const waiting = `
		SELECT count(*)
		FROM pg_stat_activity
		WHERE application_name = 'first' AND wait_event_type = 'Lock' AND query LIKE 'INSERT%'`
	eventually(t, "the statement waits", func() bool { return count(t, db.Pool, waiting) == 1 })
	if got := count(t, db.Pool, waiting+` AND xact_start < query_start`); got != 1 {
		t.Error("got a statement that waits without its transaction, want that to have begun before")
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the end of the pipeline", result); err != nil {
		t.Error(err)
	}
}

func TestATracerIsToldOfEachStatementOfAPipeline(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	told := queries{make(chan string, 10), make(chan string, 10)}
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Tracer: told})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for range 2 {
		if err := pg.Pipeline(t.Context(), pool, func(b *pgx.Batch) {
			b.Queue(`SELECT 1`)
			b.Queue(`SELECT 2`)
		}); err != nil {
			t.Fatal(err)
		}
	}
	close(told.begun)
	var got []string
	for sql := range told.begun {
		if sql == `SELECT 1` || sql == `SELECT 2` {
			got = append(got, sql)
		}
	}
	if want := []string{`SELECT 1`, `SELECT 2`, `SELECT 1`, `SELECT 2`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
