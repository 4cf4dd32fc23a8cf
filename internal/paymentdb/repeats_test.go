package paymentdb_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// counted returns a counter of the database's statistics. Each session is asked for its own first: they are kept back
// for seconds otherwise.
func counted(t *testing.T, pool *pgxpool.Pool, counter string) (n int) {
	t.Helper()
	for _, conn := range pool.AcquireAllIdle(t.Context()) {
		_, err := conn.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`)
		conn.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	err := pool.QueryRow(t.Context(), fmt.Sprintf(`SELECT %s FROM pg_stat_database
		WHERE datname = current_database()`, counter)).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Charges are repeated after a failure. What is written in vain for that is one statement, not one for each of them,
// and another one when there has been no repeat for long: so long are known keys reckoned with.
func TestAStormOfRepeatsWritesOnceInVain(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	first := newRequest()
	decided := send(t, store, payment.ChargeApproved, first)
	repeat := func(want int) {
		t.Helper()
		for range 10 {
			if got := send(t, store, payment.ChargeDeclined, first); got != decided {
				t.Errorf("got %+v, want %+v", got, decided)
			}
		}
		if got := counted(t, db.Pool, "xact_rollback"); got != want {
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
