package pg_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// alter changes a setting of the test's own database, which its next sessions have.
func alter(t testing.TB, db *pgtest.Database, setting string) {
	t.Helper()
	var name string
	if err := db.Pool.QueryRow(t.Context(), `SELECT current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	execute(t, db.Pool, `ALTER DATABASE `+name+` SET `+setting)
}

// guarded opens a pool behind a guard.
func guarded(t testing.TB, address string, guard *pg.Guard) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: address, Application: "test", Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func ready(context.Context) error { return nil }

func nothing(pgx.Tx) error { return nil }

// The servers of tests flush nothing to disk. A daemon refuses such a one and says of each setting by which an
// acknowledged commit may vanish what it is, what it should be, and what to do.
func TestAServerThatMayLoseCommitsIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	alter(t, db, "zero_damaged_pages = on")
	guard := pg.NewGuard(discard, false)
	pool := guarded(t, db.URL, guard)
	err := guard.Ready(pool, ready)(t.Context())
	if !errors.Is(err, pg.ErrUnsafe) {
		t.Fatalf("got %v, want %v", err, pg.ErrUnsafe)
	}
	for _, want := range []string{
		"fsync: got off, want on", "full_page_writes: got off, want on", "synchronous_commit: got off, want on",
		"zero_damaged_pages: got on, want off", "or start with --allow-unsafe-durability",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	err = pg.InTx(t.Context(), pool, nothing)
	if !errors.Is(err, pg.ErrUnsafe) || pg.Classify(err) != pg.Misconfigured {
		t.Errorf("a transaction: got %v (fault %d), want %v, misconfigured", err, pg.Classify(err), pg.ErrUnsafe)
	}
}

// What the session has counts: here one of the role's, the database's, or the URL's.
func TestTheSessionsOwnSettingCounts(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	alter(t, db, "synchronous_commit = on")
	guard := pg.NewGuard(discard, false)
	for query, want := range map[string]bool{
		"": false, "&synchronous_commit=off": true, "&synchronous_commit=local": false, // nobody else needs to have it
	} {
		err := guard.Ready(guarded(t, db.URL+query, guard), ready)(t.Context())
		if got := strings.Contains(err.Error(), "synchronous_commit:"); got != want {
			t.Errorf("URL with %q: got %v, want synchronous_commit complained of: %v", query, err, want)
		}
	}
}

// A crash empties such a table, and no standby has it, whatever the settings are.
func TestAnUnloggedTableIsARisk(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	execute(t, db.Pool, `ALTER TABLE outbox SET UNLOGGED`)
	guard := pg.NewGuard(discard, false)
	err := guard.Ready(guarded(t, db.URL, guard), ready)(t.Context())
	if want := "unlogged tables: got outbox, want none"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// A server is told of once, however many connections there are, and again when its settings have changed.
func TestAServerIsLoggedOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	var log bytes.Buffer
	guard := pg.NewGuard(slog.New(slog.NewTextHandler(&log, nil)), true)
	pool := guarded(t, db.URL, guard)
	for range 2 {
		held, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer held.Release()
	}
	if err := guard.Ready(pool, ready)(t.Context()); err != nil {
		t.Fatal(err)
	}
	for text, times := range map[string]int{
		`msg="database server"`:                  1,
		`msg="acknowledged commits may be lost"`: 1,
		"synchronous_commit=off":                 1,
		`synchronous_standby_names=""`:           1,
	} {
		if got := strings.Count(log.String(), text); got != times {
			t.Errorf("got %d times %s, want %d:\n%s", got, text, times, &log)
		}
	}
	alter(t, db, "synchronous_commit = on")
	pool.Reset()
	if err := guard.Ready(pool, ready)(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "synchronous_commit=on"); got != 1 {
		t.Errorf("after a change: got %d lines, want another:\n%s", got, &log)
	}
}

// Nobody gave target_session_attrs. A database that takes no writes is refused all the same, before anything is tried.
func TestAReadOnlyDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	alter(t, db, "default_transaction_read_only = on")
	guard := pg.NewGuard(discard, true)
	pool := guarded(t, db.URL, guard)
	err := guard.Ready(pool, ready)(t.Context())
	if want := "default_transaction_read_only: got on, want off"; !errors.Is(err, pg.ErrReadOnly) ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %v with %q", err, pg.ErrReadOnly, want)
	}
	err = pg.InTx(t.Context(), pool, nothing)
	if !errors.Is(err, pg.ErrReadOnly) || pg.Classify(err) != pg.Unreachable {
		t.Errorf("a transaction: got %v, want %v, unreachable", err, pg.ErrReadOnly)
	}
}

// The server has become a standby under its connections: the first write that is refused closes them all, those in use
// as well, and says so. Whoever comes next gets a new one; those that were in use then change nothing more.
func TestAPoolLeavesAServerThatBecameReadOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	execute(t, db.Pool, `CREATE TABLE notes (text text)`)
	guard := pg.NewGuard(discard, true)
	pool := guarded(t, db.URL, guard)
	const connections = 3
	before := map[uint32]bool{}
	var held []*pgxpool.Conn
	for range connections {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `SET default_transaction_read_only = on`); err != nil {
			t.Fatal(err)
		}
		before[conn.Conn().PgConn().PID()] = true
		held = append(held, conn)
	}
	busy, late := held[0], held[1]
	for _, conn := range held[2:] {
		conn.Release()
	}
	write := func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO notes VALUES ('tea')`)
		return err
	}

	if err := pg.InTx(t.Context(), pool, write); pg.Classify(err) != pg.Unreachable {
		t.Fatalf("got %v, want a refusal as of a server that is away", err)
	}
	receive(t, "the guard is in doubt", guard.Doubt())
	for range connections {
		if err := pg.InTx(t.Context(), pool, write); err != nil {
			t.Fatalf("after the first refusal: %v", err)
		}
	}
	busy.Release()
	if _, err := late.Exec(t.Context(), `INSERT INTO notes VALUES ('late')`); err == nil {
		t.Error("a connection to the former primary wrote")
	}
	late.Release()
	now, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer now.Release()
	if before[now.Conn().PgConn().PID()] {
		t.Error("a connection to the former primary is still in use")
	}
	select {
	case <-guard.Doubt():
		t.Error("a connection that was made before the change changed something again")
	default:
	}
}
