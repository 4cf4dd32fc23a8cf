package pg_test

import (
	"context"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/wait"
)

// The first host takes connections and says nothing, as a machine does that hangs. One connection finds that out; all
// others go to the second host at once.
func TestASilentHostIsTriedOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var tried atomic.Int64
	run(t, func(context.Context) {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			tried.Add(1)
			defer conn.Close()
		}
	})
	both, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	both.Host = silent.Addr().String() + "," + both.Host
	pool, err := pg.Open(t.Context(), pg.Config{URL: both.String(), Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()

	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	for err := pg.InTx(ctx, pool, nothing); err != nil; err = pg.InTx(ctx, pool, nothing) {
		if pg.Classify(err) != pg.Unreachable {
			t.Fatal(err)
		}
		wait.For(ctx, 10*time.Millisecond)
	}
	before := tried.Load()
	var held []*pgxpool.Conn
	for range 5 {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	for _, conn := range held {
		conn.Release()
	}
	if got := tried.Load(); got != before {
		t.Errorf("the silent host was tried %d times more, want none", got-before)
	}
}
