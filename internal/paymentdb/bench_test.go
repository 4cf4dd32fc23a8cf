package paymentdb_test

import (
	"fmt"
	"testing"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// Charges of new keys, approved: an INSERT into each table, and a COMMIT, for a batch.
func BenchmarkCharge(b *testing.B) {
	for _, size := range []int{1, 100, 500} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			store := paymentdb.New(pgtest.Payments(b).Pool)
			charges := make([]payment.Authorisation, size)
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
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "charges/s")
		})
	}
}
