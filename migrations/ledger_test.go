package migrations_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pgtest"
)

// A ledger entry and its payment: what a foreign key would see to. The entry is not written without the payment, and
// the payment neither goes nor changes its key.

// ofNoPayment wants an entry to be refused as a foreign key would refuse it.
func ofNoPayment(t *testing.T, err error) {
	t.Helper()
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || refusal.Code != "23503" || refusal.ConstraintName != "ledger_payment" ||
		refusal.TableName != "ledger" {
		t.Errorf("got %v, want it refused by the foreign key ledger_payment", err)
	}
}

// Whoever writes, the owner of the tables too, and however: one entry among others is enough.
func TestNoEntryIsWrittenWithoutItsPayment(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	known, unknown := newPayment(t, db, "CHARGED"), uuid.NewString()
	for name, write := range map[string]func(tx pgx.Tx) error{
		"among others": func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO ledger (payment_id, kind, amount_minor, currency)
				VALUES ($1, 'CHARGE', 500, 'JPY'), ($2, 'CHARGE', 500, 'JPY')`, known, unknown)
			return err
		},
		"within a larger statement": func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `WITH booked AS (
				INSERT INTO ledger (payment_id, kind, amount_minor, currency) SELECT $1, 'CHARGE', 500, 'JPY'
				RETURNING payment_id
			) SELECT FROM payments JOIN booked ON id = payment_id`, unknown)
			return err
		},
		"unless it is there": func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO ledger (payment_id, kind, amount_minor, currency)
				VALUES ($1, 'CHARGE', 500, 'JPY') ON CONFLICT DO NOTHING`, unknown)
			return err
		},
		"copied": func(tx pgx.Tx) error {
			id := [16]byte(uuid.MustParse(unknown))
			_, err := tx.CopyFrom(t.Context(), pgx.Identifier{"ledger"},
				[]string{"payment_id", "kind", "amount_minor", "currency"},
				pgx.CopyFromRows([][]any{{id, "CHARGE", int64(500), "JPY"}}))
			return err
		},
		"and its payment later": func(tx pgx.Tx) error {
			if err := insertEntry(t.Context(), tx, unknown); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), `INSERT INTO payments (id, customer_id, amount_minor, currency, status)
				VALUES ($1, 'customer-1', 500, 'JPY', 'CHARGED')`, unknown)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
				ofNoPayment(t, pgx.BeginTxFunc(t.Context(), db.Pool, pgx.TxOptions{IsoLevel: level}, write))
			}
		})
	}
	if n := column[int](t, db, `SELECT count(*)::int FROM ledger`); n[0] != 0 {
		t.Errorf("got %d entries, want none", n[0])
	}
}

func insertEntry(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `INSERT INTO ledger (payment_id, kind, amount_minor, currency)
		VALUES ($1, 'CHARGE', 500, 'JPY')`, id)
	return err
}

// A payment that is not committed is none yet, except to the transaction that writes it.
func TestAnEntryDoesNotCountOnAPaymentThatMayNotCommit(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	id := uuid.NewString()
	decides, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer decides.Rollback(context.WithoutCancel(t.Context()))
	_, err = decides.Exec(t.Context(), `INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		VALUES ($1, 'customer-1', 500, 'JPY', 'CHARGED')`, id)
	if err != nil {
		t.Fatal(err)
	}
	book := func(tx pgx.Tx) error { return insertEntry(t.Context(), tx, id) }
	ofNoPayment(t, pgx.BeginFunc(t.Context(), db.Pool, book))
	if err := book(decides); err != nil {
		t.Errorf("the transaction that decides: got %v, want it allowed", err)
	}
	if err := decides.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	ofNoPayment(t, pgx.BeginFunc(t.Context(), db.Pool, book))
}

// No payment goes, with an entry or without one, whoever asks for it: its key would be free for a late charge.
func TestNoPaymentGoes(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	for _, status := range []string{"CHARGED", "DECLINED", "VOIDED", "REFUNDED"} {
		newPayment(t, db, status)
	}
	ids := column[string](t, db, `SELECT id::text FROM payments`)
	for sql, constraint := range map[string]string{
		`DELETE FROM payments`:                         "payments_kept",
		`DELETE FROM payments WHERE status = 'VOIDED'`: "payments_kept",
		`DELETE FROM payments WHERE false`:             "payments_kept",
		`TRUNCATE payments`:                            "payments_kept",
		`TRUNCATE payments CASCADE`:                    "payments_kept",
		`UPDATE payments SET id = gen_random_uuid()`:   "payments_facts_fixed",
		`WITH gone AS (DELETE FROM payments) SELECT`:   "payments_kept",
		`MERGE INTO payments USING ledger ON false
			WHEN MATCHED THEN DELETE`: "payments_kept",
	} {
		_, err := db.Pool.Exec(t.Context(), sql)
		refused(t, err, constraint)
	}
	if left := column[string](t, db, `SELECT id::text FROM payments`); len(left) != len(ids) {
		t.Errorf("got payments %v, want all of %v", left, ids)
	}
}

// The trigger looks with the eyes of whoever writes: one who may not see payments writes no entry either.
func TestWhoSeesNoPaymentsWritesNoEntries(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	id := newPayment(t, db, "CHARGED")
	blind := db.As(t, nil)
	exec(t, db, `GRANT INSERT ON ledger TO `+blind.Name)
	book := func(pool *pgxpool.Pool) error {
		return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return insertEntry(t.Context(), tx, id) })
	}
	var refusal *pgconn.PgError
	if err := book(blind.Pool); !errors.As(err, &refusal) || refusal.Code != "42501" {
		t.Errorf("got %v, want insufficient_privilege", err)
	}
	exec(t, db, `GRANT SELECT (id) ON payments TO `+blind.Name)
	if err := book(blind.Pool); err != nil {
		t.Errorf("who sees their keys: got %v, want it allowed", err)
	}
}
