package paymentdb_test

import (
	"testing"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// Charges are repeated after a failure. What is written in vain for that is one statement, not one for each of them,
// and another one when there has been no repeat for long: so long are known keys reckoned with.
func TestAStormOfRepeatsWritesOnceInVain(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	first := newRequest()
	decided := send(t, store, payment.ChargeApproved, first)
	decided.New = false
	repeat := func(want int) {
		t.Helper()
		for range 10 {
			if got := send(t, store, payment.ChargeDeclined, first); got != decided {
				t.Errorf("got %+v, want %+v", got, decided)
			}
		}
		if got := db.Counter(t, "xact_rollback"); got != want {
			t.Errorf("got %d transactions that were rolled back, want %d", got, want)
		}
	}
	repeat(1)
	for range 64 {
		if got := send(t, store, payment.ChargeApproved, newRequest()); got.Payment.Status != payment.Charged {
			t.Fatalf("got %+v, want CHARGED", got)
		}
	}
	repeat(2)
	checkBooks(t, db.Pool)
}
