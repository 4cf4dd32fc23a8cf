package pg_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/wait"
)

// pools opens those of a daemon.
func pools(t testing.TB, address string, guard *pg.Guard) *pg.Pools {
	t.Helper()
	p, err := pg.OpenPools(t.Context(), pg.Config{URL: address, Application: "test", Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// fill takes all connections of a pool.
func fill(t testing.TB, pool *pgxpool.Pool) (held []*pgxpool.Conn) {
	t.Helper()
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Release)
		held = append(held, conn)
	}
	return held
}

// ask reads one number.
func ask(ctx context.Context, pool *pgxpool.Pool, sql string) (int, error) {
	rows, err := pg.Query(ctx, pool, sql)
	if err != nil {
		return 0, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
}

// The URL says how large the main pool is, and the others go by it.
func TestAURLSizesThePools(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	for query, want := range map[string][3]int32{
		"":                   {16, 8, 1},
		"&pool_max_conns=32": {32, 16, 1},
		"&pool_max_conns=3":  {3, 2, 1},
		"&pool_max_conns=8&pool_min_conns=4&pool_min_idle_conns=4": {8, 4, 1},
	} {
		p := pools(t, db.URL+query, nil)
		got := [3]int32{p.Writes.Config().MaxConns, p.Reads.Config().MaxConns, p.Readiness.Config().MaxConns}
		if got != want || p.Readiness.Config().MinConns > 1 || p.Readiness.Config().MinIdleConns > 1 {
			t.Errorf("%q: got %v, want %v, and no more that are kept idle", query, got, want)
		}
	}
}

// Writes have every connection of their pool, and keep it: reads go on, and the daemon is as ready as it was. Then
// reads have all of theirs.
func TestWhatFillsOnePoolIsNotFeltByTheOthers(t *testing.T) {
	t.Parallel()
	guard := pg.NewGuard(discard, true)
	p := pools(t, pgtest.Empty(t).URL+"&pool_max_conns=4", guard)
	fill(t, p.Writes)
	if err := pg.InTx(t.Context(), p.Writes, nothing); pg.Classify(err) != pg.Busy {
		t.Errorf("a write: got %v, want %v", err, pg.ErrBusy)
	}
	if got, err := ask(t.Context(), p.Reads, `SELECT 7`); err != nil || got != 7 {
		t.Errorf("a read: got %d, error %v; want 7", got, err)
	}
	fill(t, p.Reads)
	if _, err := ask(t.Context(), p.Reads, `SELECT 7`); !errors.Is(err, pg.ErrBusy) {
		t.Errorf("a read while reads have all: got %v, want %v", err, pg.ErrBusy)
	}
	if err := guard.Ready(p.Readiness, ready)(t.Context()); err != nil {
		t.Errorf("readiness: got %v, want it ready", err)
	}
}

// Reads are told to no pool that a server takes no writes any more, and would go on at a former primary for ever. They
// leave it with the writes.
func TestAllPoolsLeaveAServerThatBecameReadOnly(t *testing.T) {
	t.Parallel()
	guard := pg.NewGuard(discard, true)
	p := pools(t, pgtest.Empty(t).URL, guard)
	const pid = `SELECT pg_backend_pid()`
	pidOf := func(pool *pgxpool.Pool) int {
		t.Helper()
		got, err := ask(t.Context(), pool, pid)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	others := []*pgxpool.Pool{p.Reads, p.Readiness}
	before := []int{pidOf(p.Reads), pidOf(p.Readiness)}
	execute(t, p.Writes, `SET default_transaction_read_only = on`)
	write := func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `CREATE TABLE notes ()`)
		return err
	}
	if err := pg.InTx(t.Context(), p.Writes, write); pg.Classify(err) != pg.Unreachable {
		t.Fatalf("got %v, want a refusal as of a server that is away", err)
	}
	receive(t, "the guard is in doubt", guard.Doubt())
	for i, pool := range others {
		if got := pidOf(pool); got == before[i] {
			t.Errorf("pool %d still has its connection to the former primary", i)
		}
	}

	// Readiness finds it out by itself, when nobody writes.
	before = []int{pidOf(p.Reads), pidOf(p.Readiness)}
	execute(t, p.Readiness, `SET default_transaction_read_only = on`)
	if err := guard.Ready(p.Readiness, ready)(t.Context()); !errors.Is(err, pg.ErrReadOnly) {
		t.Errorf("got %v, want %v", err, pg.ErrReadOnly)
	}
	for i, pool := range others {
		if got := pidOf(pool); got == before[i] {
			t.Errorf("pool %d still has its connection, though readiness found a server that takes no writes", i)
		}
	}
}

// The first host is silent. One pool finds that out, and the connections of the others go to the second host at once.
func TestPoolsHaveOneFavouriteHost(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, into its queue, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	both, err := url.Parse(pgtest.Empty(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	both.Host = silent.Addr().String() + "," + both.Host
	p := pools(t, both.String(), pg.NewGuard(discard, true))
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	for err := pg.InTx(ctx, p.Writes, nothing); err != nil; err = pg.InTx(ctx, p.Writes, nothing) {
		wait.For(ctx, 10*time.Millisecond)
	}
	tried := accepted(t, silent)
	for _, pool := range []*pgxpool.Pool{p.Reads, p.Readiness} {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		conn.Release()
	}
	if got := accepted(t, silent); tried == 0 || got != 0 {
		t.Errorf("the silent host was tried %d times by the first pool, %d by the others; want some and none",
			tried, got)
	}
}

// accepted takes the connections that wait in a listener's queue, and counts them.
func accepted(t testing.TB, l net.Listener) (n int) {
	t.Helper()
	for {
		if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			return n
		}
		conn.Close()
		n++
	}
}
