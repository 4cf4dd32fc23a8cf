package outbox

import (
	"fmt"
	"testing"

	"hosho/internal/pgtest"
)

// BenchmarkClaim claims a worker's batch out of backlogs that fit into one, and that do not.
func BenchmarkClaim(b *testing.B) {
	const batch = 500
	for _, backlog := range []int{batch, 100_000} {
		b.Run(fmt.Sprintf("of %d", backlog), func(b *testing.B) {
			db := pgtest.Orders(b)
			for range backlog / batch {
				put(b, db, hellos(batch)...)
			}
			exec(b, db, `ANALYZE outbox`)
			q := queue(db)
			for b.Loop() {
				messages := claim(b, q, batch, 1)
				b.StopTimer()
				if len(messages) != batch {
					b.Fatalf("claimed %d messages, want %d", len(messages), batch)
				}
				if err := q.Release(b.Context(), messages); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(batch*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
