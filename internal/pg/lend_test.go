package pg_test

import (
	"context"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/jackc/pgx/v5"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

type keptKey struct{}

// A caller's context leads to all that is its connection's. When its query is done a connection to the database keeps
// none of that, though it may be idle for hours.
func TestConnectionsKeepNothingOfTheirCallers(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for name, use := range map[string]func(context.Context) error{
		"Query": func(ctx context.Context) error {
			rows, err := pg.Query(ctx, pool, `SELECT 1 WHERE $1 = 1`, 1)
			if err != nil {
				return err
			}
			_, err = pgx.CollectRows(rows, pgx.RowTo[int])
			return err
		},
		"InTx": func(ctx context.Context) error {
			return pg.InTx(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `SELECT 1`)
				return err
			})
		},
		"Snapshot": func(ctx context.Context) error {
			return pg.Snapshot(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `SELECT 1`)
				return err
			})
		},
		"Write": func(ctx context.Context) error { return pg.Exec(ctx, pool, `SELECT 1`) },
		"a query that fails": func(ctx context.Context) error {
			rows, err := pg.Query(ctx, pool, `SELECT 1 / $1`, 0)
			if err == nil {
				_, _ = pgx.CollectRows(rows, pgx.RowTo[int])
			}
			return nil
		},
	} {
		call := func() weak.Pointer[[]byte] {
			reply := make([]byte, 1<<20)
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), keptKey{}, &reply))
			defer cancel()
			if err := use(ctx); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return weak.Make(&reply)
		}
		for range 3 {
			kept := call()
			for deadline := time.Now().Add(10 * time.Second); kept.Value() != nil; runtime.GC() {
				if time.Now().After(deadline) {
					t.Fatalf("%s: the caller's context is still there", name)
				}
			}
		}
	}
}
