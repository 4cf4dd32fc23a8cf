package paymentdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

func TestMain(m *testing.M) {
	slow.Walks(30)
	pgtest.Main(m)
}

// newRequest is about 500 yen under a new key.
func newRequest() payment.Request {
	return payment.Request{ID: uuid.Must(uuid.NewV7()).String(), CustomerID: "c-1", AmountMinor: 500, Currency: "JPY"}
}

func approved(r payment.Request) payment.Authorisation {
	return payment.Authorisation{Charge: payment.Charge{Request: r}, Verdict: payment.Verdict{Approved: true}}
}

func declined(r payment.Request) payment.Authorisation {
	return payment.Authorisation{
		Charge: payment.Charge{Request: r}, Verdict: payment.Verdict{Reason: payment.InsufficientFunds},
	}
}

// entries returns what the ledger holds under a key, the charge first.
func entries(t testing.TB, pool *pgxpool.Pool, id string) []payment.Entry {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT kind FROM ledger WHERE payment_id = $1 ORDER BY kind`, id)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := pgx.CollectRows(rows, pgx.RowTo[payment.Entry])
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

// checkBooks fails the test when the ledger does not say what the payments say: the invariants I1 and I7 of
// doc/rules.md.
func checkBooks(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	var wrong int
	ctx := context.WithoutCancel(t.Context()) // some tests check when they have ended
	err := pool.QueryRow(ctx, `
		SELECT count(*)
		FROM payments LEFT JOIN (
			SELECT payment_id AS id,
				count(*) FILTER (WHERE kind = 'CHARGE') AS charges,
				count(*) FILTER (WHERE kind = 'REFUND') AS refunds,
				bool_or((ledger.amount_minor, ledger.currency) <> (p.amount_minor, p.currency)) AS other_amount
			FROM ledger JOIN payments p ON p.id = payment_id
			GROUP BY payment_id
		) AS booked USING (id)
		WHERE coalesce(charges, 0) <> (status IN ('CHARGED', 'REFUNDED'))::int
			OR coalesce(refunds, 0) <> (status = 'REFUNDED')::int
			OR coalesce(other_amount, false)`).Scan(&wrong)
	if err != nil {
		t.Fatal(err)
	}
	if wrong != 0 {
		t.Errorf("got %d payments whose ledger says otherwise, want none", wrong)
	}
}

// send carries out one command.
func send(t testing.TB, store *paymentdb.Store, c payment.Command, r payment.Request) paymentdb.Result {
	t.Helper()
	charge := approved(r)
	var results []paymentdb.Result
	var err error
	switch c {
	case payment.Void:
		results, err = store.Void(t.Context(), []payment.Request{r})
	case payment.ChargeDeclined:
		results, err = store.Charge(t.Context(), []payment.Authorisation{declined(r)})
	case payment.ChargeExpired:
		charge.NotAfter = time.Now().Add(-time.Hour)
		fallthrough
	case payment.ChargeApproved:
		results, err = store.Charge(t.Context(), []payment.Authorisation{charge})
	}
	if err != nil {
		t.Fatalf("%s: %v", c, err)
	}
	if len(results) != 1 {
		t.Fatalf("%s: got %d results, want 1", c, len(results))
	}
	return results[0]
}
