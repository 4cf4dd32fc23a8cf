package paymentdb_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// hold writes a tombstone in a transaction that stays open until the test ends it.
func hold(t *testing.T, db *pgtest.Database, r payment.Request) pgx.Tx {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	_, err = tx.Exec(t.Context(), `INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		VALUES ($1, $2, $3, $4, 'VOIDED')`, r.ID, r.CustomerID, r.AmountMinor, r.Currency)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// wantNothingStored fails the test where something is decided under a key.
func wantNothingStored(t *testing.T, store *paymentdb.Store, requests ...payment.Request) {
	t.Helper()
	for _, r := range requests {
		if p, _, err := store.Get(t.Context(), r.ID); !errors.Is(err, paymentdb.ErrNotFound) {
			t.Errorf("got %+v, error %v, want ErrNotFound", p, err)
		}
	}
}

// Whoever has little time for a key that somebody holds is told so, and nothing of the batch is done.
func TestAnImpatientStoreGivesUpAKeyThatIsHeld(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	held, other := newRequest(), newRequest()
	stored := newRequest()
	send(t, store, payment.ChargeApproved, stored)
	holder := hold(t, db, held)
	if _, err := holder.Exec(t.Context(), `SELECT FROM payments WHERE id = $1 FOR UPDATE`, stored.ID); err != nil {
		t.Fatal(err)
	}

	impatient := store.Impatient(time.Millisecond)
	_, err := impatient.Charge(t.Context(), []payment.Authorisation{approved(other), approved(held)})
	if pg.Classify(err) != pg.Collision {
		t.Errorf("charge: got %v, want a collision", err)
	}
	for _, r := range []payment.Request{held, stored} {
		if _, err = impatient.Void(t.Context(), []payment.Request{r}); pg.Classify(err) != pg.Collision {
			t.Errorf("void: got %v, want a collision", err)
		}
	}
	wantNothingStored(t, store, other)

	// What is new is voided beside what is held.
	results, err := impatient.Void(t.Context(), []payment.Request{stored, other})
	if err != nil || pg.Classify(results[0].Err) != pg.Collision || results[1].Payment.Status != payment.Voided {
		t.Errorf("got %+v, error %v, want a collision and VOIDED", results, err)
	}
	if err := holder.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := send(t, store, payment.Void, stored); got.Payment.Status != payment.Refunded {
		t.Errorf("got %+v, want REFUNDED", got)
	}
	checkBooks(t, db.Pool)
}

// Nothing is written to another database than the one that is meant, and nothing of it is told, whatever is sent as its
// name.
func TestNothingIsDecidedInAnotherDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	known, charge, void := newRequest(), newRequest(), newRequest()
	send(t, store, payment.ChargeApproved, known)
	is, err := store.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{
		"01990000-0000-4000-8000-000000000000", "nonsense", "\x00", strings.ReplaceAll(is.ID, "-", ""),
		"{" + is.ID + "}", strings.Replace(is.ID, "-", "_", 1),
	} {
		if got, err := store.Charge(t.Context(), []payment.Authorisation{approved(charge)}, other); !wrong(got, err) {
			t.Errorf("charge for %q: got %+v, error %v, want ErrWrongDatabase", other, got, err)
		}
		for _, r := range []payment.Request{void, known} {
			if got, err := store.Void(t.Context(), []payment.Request{r}, other); !wrong(got, err) {
				t.Errorf("void for %q: got %+v, error %v, want ErrWrongDatabase", other, got, err)
			}
		}
		if got, err := store.Lookup(t.Context(), []payment.Request{known}, is.ID, other); !wrong(got, err) {
			t.Errorf("lookup for %q: got %+v, error %v, want ErrWrongDatabase", other, got, err)
		}
	}
	wantNothingStored(t, store, charge, void)
	if got := send(t, store, payment.ChargeApproved, known); got.Payment.Status != payment.Charged {
		t.Errorf("got %+v, want it as it was", got)
	}
	got, err := store.Charge(t.Context(), []payment.Authorisation{approved(charge)}, strings.ToUpper(is.ID), "")
	if err != nil || got[0].Payment.Status != payment.Charged {
		t.Errorf("for this one: got %+v, error %v, want CHARGED", got, err)
	}
}

func wrong(results []paymentdb.Result, err error) bool {
	return results == nil && errors.Is(err, paymentdb.ErrWrongDatabase)
}

// The caller's time is over while the statement waits. What became of it is not known, and it happens when it can; who
// repeats it is told, and the amount was taken once.
func TestAChargeWhoseTimeIsOverIsUnknownAndTakenOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	held, other := newRequest(), newRequest()
	batch := []payment.Authorisation{approved(other), approved(held)}
	holder := hold(t, db, held)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := store.Charge(ctx, batch)
		done <- err
	}()
	awaitBlocked(t, db.Pool, 1)
	cancel()
	if err := <-done; !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got %v, want ErrCommitUnknown", err)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	results, err := store.Charge(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range results {
		if got.Err != nil || got.Payment.Status != payment.Charged || len(entries(t, db.Pool, batch[i].ID)) != 1 {
			t.Errorf("again: got %+v, want CHARGED once", got)
		}
	}
	checkBooks(t, db.Pool)
}

// interrupter ends a context when a statement that reads is sent.
type interrupter struct{ end context.CancelFunc }

func (i interrupter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if strings.Contains(q.SQL, `LEFT JOIN payments`) {
		i.end()
	}
	return ctx
}

func (interrupter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// What was decided is told, though what was there before could not be read after it.
func TestWhatIsDecidedIsToldThoughTheRestCannotBeRead(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	fresh, known := newRequest(), newRequest()
	send(t, paymentdb.New(db.Pool), payment.ChargeApproved, known)
	ctx, cancel := context.WithCancel(t.Context())
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Application: "test", Tracer: interrupter{cancel}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	results, err := paymentdb.New(pool).Charge(ctx, []payment.Authorisation{approved(known), approved(fresh)})
	if err != nil {
		t.Fatal(err)
	}
	if pg.Classify(results[0].Err) != pg.Unreachable {
		t.Errorf("known: got %+v, want an error that says to try again", results[0])
	}
	if results[1].Err != nil || results[1].Payment.Status != payment.Charged {
		t.Errorf("new: got %+v, want CHARGED", results[1])
	}
}

// A new payment is answered from its request and from what the statement returns. That is what is stored.
func TestWhatIsToldOfANewPaymentIsWhatIsStored(t *testing.T) {
	t.Parallel()
	store := paymentdb.New(pgtest.Payments(t).Pool)
	late := approved(newRequest())
	late.NotAfter = time.Now().Add(-time.Hour)
	lateDecline := declined(newRequest())
	lateDecline.NotAfter = late.NotAfter
	charges := []payment.Authorisation{approved(newRequest()), declined(newRequest()), late, lateDecline}
	results, err := store.Charge(t.Context(), charges)
	if err != nil {
		t.Fatal(err)
	}
	tombstones, err := store.Void(t.Context(), []payment.Request{newRequest()})
	if err != nil {
		t.Fatal(err)
	}
	for _, told := range append(results, tombstones...) {
		stored, _, err := store.Get(t.Context(), told.Payment.ID)
		if err != nil || stored != told.Payment {
			t.Errorf("told %+v, stored %+v, error %v", told, stored, err)
		}
	}
}

func TestAKeyThatIsNoUUIDIsRefused(t *testing.T) {
	t.Parallel()
	store := paymentdb.New(pgtest.Payments(t).Pool)
	for _, id := range []string{"", "abc", "0190b6a47c5e7d3a8f000123456789ab", "0190b6a4-7c5e-7d3a-8f00-0123456789ag"} {
		r := newRequest()
		r.ID = id
		if got, err := store.Charge(t.Context(), []payment.Authorisation{approved(r)}); err == nil {
			t.Errorf("charge of %q: got %+v, want an error", id, got)
		}
		if got, err := store.Void(t.Context(), []payment.Request{r}); err == nil {
			t.Errorf("void of %q: got %+v, want an error", id, got)
		}
	}
}
