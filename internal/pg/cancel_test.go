package pg_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
)

// Its caller gave up before the COMMIT was sent: nothing is written, and that is known.
func TestATransactionWhoseCallerHasGoneIsNotCommitted(t *testing.T) {
	t.Parallel()
	db := notes(t)
	ctx, giveUp := context.WithCancel(t.Context())
	err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
		defer giveUp()
		return insert(ctx, tx, 1)
	})
	if pg.Classify(err) != pg.Unreachable {
		t.Errorf("in a transaction: got %v, want an error that says that nothing was written", err)
	}
	if err := pg.Exec(ctx, db.Pool, `INSERT INTO notes VALUES (2)`); pg.Classify(err) != pg.Unreachable {
		t.Errorf("by itself: got %v, want an error that says that nothing was written", err)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 0 {
		t.Errorf("got %d rows, want none", got)
	}
}

// A statement was cancelled, with a context of its own, and succeeded all the same. Its cancel request may be late and
// meet what comes next on the connection: so no COMMIT does, of this transaction or of another.
func TestACancelRequestThatIsLateMeetsNoCommit(t *testing.T) {
	t.Parallel()
	db := notes(t)
	holder, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(context.WithoutCancel(t.Context()))
	if _, err := holder.Exec(t.Context(), `SELECT pg_advisory_xact_lock(1)`); err != nil {
		t.Fatal(err)
	}
	const stubborn = `DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); EXCEPTION WHEN query_canceled THEN END $$`
	var cancelled uint32 // the session
	result := make(chan error, 1)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	go func() {
		result <- pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			cancelled = tx.Conn().PgConn().PID()
			if err := insert(t.Context(), tx, 1); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, stubborn)
			return err
		})
	}()
	eventually(t, "the statement waits", func() bool {
		return count(t, db.Pool, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`) == 1
	})
	giveUp()
	if err := receive(t, "the end of the transaction", result); pg.Classify(err) != pg.Unreachable {
		t.Errorf("got %v, want an error that says that nothing was written", err)
	}
	if got := count(t, db.Pool, `SELECT count(*) FROM notes`); got != 0 {
		t.Errorf("got %d rows, want none", got)
	}
	eventually(t, "the connection is closed instead of being used again", func() bool {
		return count(t, db.Pool, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1`, cancelled) == 0
	})
}

// Who asks and goes at once, again and again, would have the server close a connection and open two for each question.
// What is answered within moments is answered.
func TestAStatementWhoseCallerGoesCostsNoConnection(t *testing.T) {
	t.Parallel()
	db := notes(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Application: "test", MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	const asked = 20
	sessions := map[int]bool{}
	for range asked {
		sessions[count(t, pool, `SELECT pg_backend_pid()`)] = true
		ctx, giveUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, giveUp)
		_, _ = pool.Exec(ctx, `SELECT pg_sleep(0.005)`) // whether it was answered in time or not
		giveUp()
	}
	if got := len(sessions); got > asked/2 { // a busy machine may take longer for some
		t.Errorf("got %d sessions for %d statements whose caller has gone, want one", got, asked)
	}
}
