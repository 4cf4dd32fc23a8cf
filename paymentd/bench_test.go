package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	paymentv1 "hosho/gen/payment/v1"
)

// Charges over streams, of new keys and approved, from the client's message to its answer: what one costs in CPU time,
// of client and server, which are one process here, and of the database's sessions.
func BenchmarkStream(b *testing.B) {
	for _, c := range []struct{ streams, size, requests int }{{1, 1, 1}, {1, 100, 4}, {1, 500, 2}, {4, 25, 4}} {
		b.Run(fmt.Sprintf("streams=%d/batch=%d/requests=%d", c.streams, c.size, c.requests), func(b *testing.B) {
			var served *server
			s := start(b, func(s *server) { served = s })
			served.log = slog.New(slog.NewJSONHandler(io.Discard, nil)) // the tests' own reads each line
			talks := make([]paymentv1.PaymentService_ProcessPaymentsClient, c.streams)
			for i := range talks {
				var err error
				if talks[i], err = s.ProcessPayments(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			ours, theirs := s.cpu(b)
			for b.Loop() {
				round(b, talks, c.size, c.requests)
			}
			n := float64(b.N * c.streams * c.size * c.requests)
			oursNow, theirsNow := s.cpu(b)
			b.ReportMetric(n/b.Elapsed().Seconds(), "charges/s")
			b.ReportMetric(float64((oursNow-ours).Microseconds())/n, "process-us/charge")
			b.ReportMetric(float64((theirsNow-theirs).Microseconds())/n, "postgres-us/charge")
		})
	}
}

// round sends requests over streams, and receives all answers.
func round(b *testing.B, talks []paymentv1.PaymentService_ProcessPaymentsClient, size, requests int) {
	b.Helper()
	for _, k := range talks {
		for range requests {
			_, commands := charges(size)
			if err := k.Send(requestOf(commands...)); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, k := range talks {
		for n := 0; n < size*requests; {
			response, err := k.Recv()
			if err != nil {
				b.Fatal(err)
			}
			n += len(response.GetResults())
		}
	}
}

// cpu is the time that this process and the database's sessions have had; 0 where the system does not tell.
func (s *system) cpu(b *testing.B) (ours, theirs time.Duration) {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	rows, err := s.db.Pool.Query(b.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database()`)
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
		theirs += time.Duration(ran)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), theirs
}
