package pg_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// BenchmarkWrite is what a transaction costs that writes one row, alone and with seven others, with statements that are
// prepared, that are described only, and in sessions that begin as a daemon's do: the time of each, and the CPU time of
// this process and of the server's.
func BenchmarkWrite(b *testing.B) {
	for _, mode := range []string{"cache_statement", "cache_describe", "preset"} {
		for _, parallel := range []int{1, 8} {
			for name, write := range map[string]func(ctx context.Context, pool *pgxpool.Pool, n int) error{
				"Exec": writes["a statement that commits by itself"], "InTx": writes["a transaction"],
				"Query": func(ctx context.Context, pool *pgxpool.Pool, n int) error {
					_, err := rowsOf(pg.Query(ctx, pool, `SELECT n FROM notes WHERE n = $1`, n))
					return err
				},
			} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, mode, parallel), func(b *testing.B) {
					db := pgtest.Empty(b)
					execute(b, db.Pool, `CREATE TABLE notes (n integer PRIMARY KEY)`)
					benchWrite(b, openMode(b, db.URL, mode), parallel, write)
				})
			}
		}
	}
}

// openMode opens a pool whose transactions set what they want, or a daemon's, whose sessions begin with it.
func openMode(b *testing.B, url, mode string) *pgxpool.Pool {
	b.Helper()
	config := pg.Config{URL: url, Application: "bench"}
	if mode == "preset" {
		pools, err := pg.OpenPools(b.Context(), config)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(pools.Close)
		return pools.Writes
	}
	config.URL += "&default_query_exec_mode=" + mode
	pool, err := pg.Open(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

func benchWrite(
	b *testing.B, pool *pgxpool.Pool, parallel int, write func(context.Context, *pgxpool.Pool, int) error,
) {
	b.Helper()
	var n atomic.Int64
	if err := write(b.Context(), pool, int(n.Add(1))); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(parallel) // times GOMAXPROCS, which is set to one
	b.ReportAllocs()
	own, server := ownCPU(b), serverCPU(b, pool)
	b.ResetTimer()
	work := func(next func() bool) {
		for next() {
			if err := write(b.Context(), pool, int(n.Add(1))); err != nil {
				b.Error(err)
				return
			}
		}
	}
	if parallel == 1 {
		work(b.Loop)
	} else {
		b.RunParallel(func(p *testing.PB) { work(p.Next) })
	}
	b.StopTimer()
	b.ReportMetric(float64((ownCPU(b)-own).Microseconds())/float64(b.N), "own-us/op")
	b.ReportMetric(float64((serverCPU(b, pool)-server).Microseconds())/float64(b.N), "server-us/op")
}

func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serverCPU is that of the pool's sessions, where /proc tells it, in steps of 10 ms.
func serverCPU(b *testing.B, pool *pgxpool.Pool) (sum time.Duration) {
	b.Helper()
	rows, err := pool.Query(context.WithoutCancel(b.Context()),
		`SELECT pid FROM pg_stat_activity WHERE application_name = 'bench'`)
	if err != nil {
		b.Fatal(err)
	}
	sessions, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range sessions {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		var user, system int
		if fields := strings.Fields(after); len(fields) > 12 {
			_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
		}
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(user+system) * 10 * time.Millisecond
	}
	return sum
}
