package paymentdb_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// Charges of new keys, approved: an INSERT into each table, and a COMMIT, for a batch. What one costs is CPU time, of
// this process and of the server's, which a busy machine changes least.
func BenchmarkCharge(b *testing.B) {
	for _, size := range []int{1, 10, 100, 500} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			db := pgtest.Payments(b)
			store := paymentdb.New(db.Pool)
			charges := make([]payment.Authorisation, size)
			ours, theirs := processTime(b), serverTime(b, db)
			for b.Loop() {
				for i := range charges {
					charges[i] = approved(newRequest())
				}
				results, err := store.Charge(b.Context(), charges)
				if err != nil {
					b.Fatal(err)
				}
				if last := results[size-1].Payment; last.Status != payment.Charged {
					b.Fatalf("got %+v, want CHARGED", last)
				}
			}
			n := float64(b.N * size)
			b.ReportMetric(n/b.Elapsed().Seconds(), "charges/s")
			b.ReportMetric(float64((processTime(b)-ours).Microseconds())/n, "client-us/charge")
			b.ReportMetric(float64((serverTime(b, db)-theirs).Microseconds())/n, "server-us/charge")
		})
	}
}

// processTime is the CPU time that this process has had.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// serverTime is the CPU time that the sessions of the database have had, or 0 where the system does not tell.
func serverTime(b *testing.B, db *pgtest.Database) (sum time.Duration) {
	b.Helper()
	rows, err := db.Pool.Query(b.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database()`)
	if err != nil {
		b.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		var ran int64
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid)); err == nil {
			_, _ = fmt.Sscan(string(text), &ran)
		}
		sum += time.Duration(ran)
	}
	return sum
}
