package daemon

import (
	"log/slog"
	"os"
	"syscall"
	"testing"

	"hosho/internal/logline"
)

// A line that an order gets, from the call that logs to the file where it stands: what it costs in CPU time.
func BenchmarkLine(b *testing.B) {
	file, err := os.Create(b.TempDir() + "/log")
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	to := newLines(file, notice)
	defer close(to.bell)
	var c Log
	log := c.to(to, false).With("daemon", "relay")
	ctx := b.Context()
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		logline.Write(ctx, log, slog.LevelInfo, "order",
			slog.String("order_id", "01a218f1-b808-7ba8-8d46-86ef166de994"), slog.String("status", "COMPLETED"),
			slog.String("from", "PENDING"), slog.String("cause", "payment charged"))
	}
	to.flush()
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpu is the time that this process has had.
func cpu(b *testing.B) int64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}
