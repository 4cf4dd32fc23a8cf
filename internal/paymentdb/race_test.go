package paymentdb_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

const clients = 8

// together runs f for each client, all let go at once, and waits for them.
func together(f func(client int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range clients {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// A charge is committed by somebody else while eight charges of the same key wait for it. Their INSERTs write nothing,
// and the row is younger than their snapshots: one statement that did both, write and read, would return none of it.
func TestNobodyWhoWaitedForAnotherClientsChargeIsLeftWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	request := newRequest()
	other, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback(context.WithoutCancel(t.Context()))
	_, err = other.Exec(t.Context(), `INSERT INTO payments (id, customer_id, amount_minor, currency, status)
		VALUES ($1, $2, $3, $4, 'VOIDED')`, request.ID, request.CustomerID, request.AmountMinor, request.Currency)
	if err != nil {
		t.Fatal(err)
	}

	var waiting sync.WaitGroup
	var results [clients][]paymentdb.Result
	var errs [clients]error
	for i := range clients {
		waiting.Go(func() {
			if i%2 == 0 {
				results[i], errs[i] = store.Charge(t.Context(), []payment.Authorisation{approved(request)})
			} else {
				results[i], errs[i] = store.Void(t.Context(), []payment.Request{request})
			}
		})
	}
	awaitBlocked(t, db.Pool, clients)
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()

	for i := range clients {
		if errs[i] != nil || results[i][0].Payment.Status != payment.Voided {
			t.Errorf("client %d: got %+v, error %v, want VOIDED", i, results[i], errs[i])
		}
	}
	checkBooks(t, db.Pool)
}

// awaitBlocked returns when n sessions of the database wait for a lock.
func awaitBlocked(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	for blocked := 0; blocked < n; {
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&blocked)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestConflictingChargesOfAHotKeyMakeOneCharge(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	for range 25 {
		request := newRequest()
		var results [clients]paymentdb.Result
		together(func(i int) {
			mine := approved(request)
			if i%3 == 0 {
				mine = declined(request)
			}
			mine.AmountMinor += int64(i % 2) // half of them for another amount
			results[i] = one(store.Charge(t.Context(), []payment.Authorisation{mine}))
		})
		checkOneDecision(t, store, request.ID, results[:])
		booked := entries(t, db.Pool, request.ID)
		if len(booked) > 1 || slices.Contains(booked, payment.RefundEntry) {
			t.Errorf("got ledger %v, want one charge at most", booked)
		}
	}
	checkBooks(t, db.Pool)
}

// Either a charge wins and is refunded, or a void wins and nothing was ever charged. Whoever is told CHARGED was told
// so before the refund.
func TestChargesAgainstVoidsOfAHotKeyEndWithNoMoneyHeld(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	for range 25 {
		request := newRequest()
		var results [clients]paymentdb.Result
		together(func(i int) {
			if i%2 == 0 {
				results[i] = one(store.Charge(t.Context(), []payment.Authorisation{approved(request)}))
			} else {
				results[i] = one(store.Void(t.Context(), []payment.Request{request}))
			}
		})
		end, _, err := store.Get(t.Context(), request.ID)
		if err != nil || end.Status != payment.Voided && end.Status != payment.Refunded {
			t.Fatalf("got %+v, error %v, want VOIDED or REFUNDED", end, err)
		}
		for i, got := range results {
			early := i%2 == 0 && end.Status == payment.Refunded && got.Payment.Status == payment.Charged
			if got.Err != nil || got.Payment.Status != end.Status && !early {
				t.Errorf("client %d: got %+v, want %s", i, got, end.Status)
			}
		}
	}
	checkBooks(t, db.Pool)
}

// Overlapping batches in opposite orders, charges and voids, over keys of which half are known.
func TestOverlappingBatchesInAnyOrderDoNotDeadlock(t *testing.T) {
	slow.Test(t, "races batches that overlap")
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	for range 10 {
		requests := make([]payment.Request, 100)
		for i := range requests {
			requests[i] = newRequest()
			if i%2 == 0 {
				send(t, store, payment.ChargeApproved, requests[i])
			}
		}
		backward := slices.Clone(requests)
		slices.Reverse(backward)
		var errs [clients]error
		together(func(i int) {
			mine := [][]payment.Request{requests, backward}[i%2]
			if i%4 < 2 {
				_, errs[i] = store.Void(t.Context(), mine)
				return
			}
			charges := make([]payment.Authorisation, len(mine))
			for i, r := range mine {
				charges[i] = approved(r)
			}
			_, errs[i] = store.Charge(t.Context(), charges)
		})
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
	}
	// InTx would hide a deadlock by starting over; the database counts them all.
	if n := db.Counter(t, "deadlocks"); n != 0 {
		t.Errorf("got %d deadlocks, want none", n)
	}
	checkBooks(t, db.Pool)
}

// one takes the result out of a batch of one.
func one(results []paymentdb.Result, err error) paymentdb.Result {
	if err != nil {
		return paymentdb.Result{Err: err}
	}
	return results[0]
}

// checkOneDecision fails the test unless each client was told what is stored, or that the key was reused.
func checkOneDecision(t *testing.T, store *paymentdb.Store, id string, results []paymentdb.Result) {
	t.Helper()
	stored, _, err := store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for i, got := range results {
		switch {
		case got.Err == nil && got.Payment == stored:
			told++
		case !errors.Is(got.Err, paymentdb.ErrKeyReused):
			t.Errorf("client %d: got %+v, want %+v or ErrKeyReused", i, got, stored)
		}
	}
	if told != clients/2 {
		t.Errorf("got %d clients told of the payment, want %d: those who named its amount", told, clients/2)
	}
}
