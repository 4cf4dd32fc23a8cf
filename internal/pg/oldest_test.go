package pg_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hosho/internal/pg"
	"hosho/internal/pgembed"
	"hosho/internal/pgtest"
)

// oldest is what Holders tell.
func oldest(t *testing.T, h *pg.Holders, p *pg.Pools) time.Duration {
	t.Helper()
	age, err := h.Oldest(t.Context(), p.Reads, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return age
}

// Somebody of another role has a transaction open, and then one that is prepared. Who looks may not see when the first
// one began, and is told since when it has seen it; of the other that is known. A transaction that needs nothing which
// is gone holds nothing.
func TestOldSnapshotsOfOtherRolesAreSeen(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	db := server.Create(t, "held")
	execute(t, db.Pool, `CREATE ROLE looker LOGIN; CREATE TABLE t (n int)`)
	p := pools(t, pgtest.LoginTo(t, db.URL, "looker"), nil)
	var h pg.Holders
	if age := oldest(t, &h, p); age != 0 {
		t.Errorf("got %v when nobody does anything, want 0", age)
	}

	tx, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT n FROM t`); err != nil {
		t.Fatal(err)
	}
	if age := oldest(t, &h, p); age != 0 {
		t.Errorf("got %v when nothing was written, want 0", age)
	}
	execute(t, db.Pool, `INSERT INTO t VALUES (1)`)
	first := time.Now()
	if age := oldest(t, &h, p); age != 0 {
		t.Errorf("got %v when it was seen first, want 0", age)
	}
	again := oldest(t, &h, p)
	if again <= 0 || again > time.Since(first) {
		t.Errorf("got %v, want how long it has been seen, %v at most", again, time.Since(first))
	}
	owner := pools(t, db.URL, nil)
	least := time.Since(first) // before it is asked: an answer takes its time
	if age := oldest(t, &h, owner); age <= least {
		t.Errorf("got %v of who may see it, want how long it has been open, more than %v", age, least)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if age := oldest(t, &h, p); age != 0 {
		t.Errorf("got %v when it was over, want 0", age)
	}
}

// A transaction was prepared and forgotten. It holds what is dead for ever, and no session is to be seen.
func TestAForgottenPreparedTransactionIsSeen(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"max_prepared_transactions": "1"}
	server, err := pgembed.Start(t.Context(), pgembed.Config{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	db := pools(t, server.URL("postgres"), nil)
	execute(t, db.Writes, `CREATE ROLE looker LOGIN; CREATE TABLE t (n int)`)
	execute(t, db.Writes, `BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'forgotten'`)
	p := pools(t, pgtest.LoginTo(t, server.URL("postgres"), "looker"), nil)
	if age := oldest(t, &pg.Holders{}, p); age <= 0 {
		t.Errorf("got %v, want how long ago it was prepared", age)
	}
}

// A session that listens handles what it hears with the time of its last statement, which may be hours ago, as the
// beginning of its transaction: for who looks in such a moment that is nobody's age. One whose client does not read
// what it hears holds all that while, and is seen to.
func TestASessionThatListensIsAsOldAsItIsSeen(t *testing.T) {
	t.Parallel()
	db := pgtest.Own(t).Create(t, "heard")
	execute(t, db.Pool, `CREATE TABLE t (n int)`)
	listener, err := pgconn.Connect(t.Context(), db.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Conn().Close() }) // it is not read any more
	if _, err := listener.Exec(t.Context(), `LISTEN news`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	const moreThanIsOnItsWay = `SELECT pg_notify('news', repeat('x', 7990) || n) FROM generate_series(1, 4000) AS n`
	execute(t, db.Pool, moreThanIsOnItsWay)
	const stands = `SELECT wait_event IS NOT DISTINCT FROM 'ClientWrite' FROM pg_stat_activity WHERE pid = $1`
	for stood := false; !stood; {
		if err := db.Pool.QueryRow(t.Context(), stands, listener.PID()).Scan(&stood); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, db.Pool, `INSERT INTO t VALUES (1)`)
	var h pg.Holders
	p := pools(t, db.URL, nil)
	first := time.Now()
	if age := oldest(t, &h, p); age != 0 {
		t.Errorf("got %v when it was seen first, want 0", age)
	}
	if age := oldest(t, &h, p); age <= 0 || age > time.Since(first) {
		t.Errorf("got %v, want how long it has been seen, %v at most", age, time.Since(first))
	}
}
