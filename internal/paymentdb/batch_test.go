package paymentdb_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

func TestTheResultsOfAThousandChargesComeInTheirOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	charges := make([]payment.Authorisation, 1000)
	for i := range charges {
		charges[i] = approved(newRequest())
		if i%3 == 0 {
			charges[i] = declined(newRequest())
		}
		charges[i].AmountMinor = int64(i + 1)
	}
	known := charges[500]
	send(t, store, payment.Void, known.Request)

	results, err := store.Charge(t.Context(), charges)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range results {
		want := payment.Charged
		switch {
		case i == 500:
			want = payment.Voided
		case i%3 == 0:
			want = payment.Declined
		}
		if got.Err != nil || got.Payment.Status != want || !got.Payment.Matches(charges[i].Request) {
			t.Errorf("charge %d: got %+v, want %s of %+v", i, got, want, charges[i].Request)
		}
	}
	checkBooks(t, db.Pool)
}

// What is told of when a payment was decided is nothing that was read back: the columns say the same.
func TestABatchIsDecidedAtOneMoment(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	known := approved(newRequest())
	for _, known := range [][]payment.Authorisation{{}, {known}, {known}} {
		charges := []payment.Authorisation{approved(newRequest()), declined(newRequest()), approved(newRequest())}
		charges[2].NotAfter = time.Now().Add(-time.Hour)
		results, err := store.Charge(t.Context(), append(charges, known...))
		if err != nil {
			t.Fatal(err)
		}
		moment := results[0].Payment.CreatedAt
		for i, charge := range charges {
			stored, ledger, err := store.Get(t.Context(), charge.ID)
			if diff := cmp.Diff(results[i].Payment, stored); err != nil || diff != "" {
				t.Errorf("charge %d: error %v (-told +stored):\n%s", i, err, diff)
			}
			if !stored.CreatedAt.Equal(moment) || !stored.UpdatedAt.Equal(moment) {
				t.Errorf("charge %d: got %+v, want it decided at %s", i, stored, moment)
			}
			for _, booked := range ledger {
				if !booked.At.Equal(moment) {
					t.Errorf("charge %d: got an entry of %s, want %s", i, booked.At, moment)
				}
			}
		}
	}
	checkBooks(t, db.Pool)
}

func TestTheSameKeyTwiceInABatchOfChargesIsDecidedByTheFirst(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	first := newRequest()
	other := first
	other.AmountMinor = 700

	results, err := paymentdb.New(db.Pool).Charge(t.Context(), []payment.Authorisation{
		approved(first), approved(other), declined(first), approved(first),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2, 3} {
		got := results[i].Payment
		if results[i].Err != nil || got.Status != payment.Charged || got.AmountMinor != 500 {
			t.Errorf("charge %d: got %+v, want CHARGED 500", i, results[i])
		}
	}
	if !errors.Is(results[1].Err, paymentdb.ErrKeyReused) {
		t.Errorf("another amount: got %+v, want ErrKeyReused", results[1])
	}
	if diff := cmp.Diff([]payment.Entry{payment.ChargeEntry}, entries(t, db.Pool, first.ID)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// The first void of the batch names another amount than the charge that is stored. It must not hide the second.
func TestAVoidThatMatchesIsCarriedOutBehindOneThatDoesNot(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	request := newRequest()
	other := request
	other.AmountMinor = 700
	send(t, store, payment.ChargeApproved, request)

	results, err := store.Void(t.Context(), []payment.Request{other, request, request})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(results[0].Err, paymentdb.ErrKeyReused) {
		t.Errorf("another amount: got %+v, want ErrKeyReused", results[0])
	}
	for _, got := range results[1:] {
		if got.Err != nil || got.Payment.Status != payment.Refunded {
			t.Errorf("the right amount: got %+v, want REFUNDED", got)
		}
	}
	checkBooks(t, db.Pool)
}

func TestAChargeIsExpiredOnlyAfterItsNotAfter(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	in := func(d time.Duration, charge payment.Authorisation) payment.Authorisation {
		charge.NotAfter = time.Now().Add(d)
		return charge
	}
	charges := []payment.Authorisation{
		in(-time.Second, approved(newRequest())), in(-time.Second, declined(newRequest())),
		in(time.Hour, approved(newRequest())), in(time.Hour, declined(newRequest())),
		approved(newRequest()),
	}

	results, err := store.Charge(t.Context(), charges)
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		Status payment.Status
		Reason payment.DeclineReason
	}
	var got []outcome
	for _, r := range results {
		got = append(got, outcome{r.Payment.Status, r.Payment.DeclineReason})
	}
	want := []outcome{
		{payment.Declined, payment.Expired},
		{payment.Declined, payment.Expired},
		{payment.Charged, ""},
		{payment.Declined, payment.InsufficientFunds},
		{payment.Charged, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	checkBooks(t, db.Pool)
}

func TestADeclineStaysThoughTheNetworkWouldNowApprove(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	for _, decline := range []payment.Command{payment.ChargeDeclined, payment.ChargeExpired} {
		request := newRequest()
		first := send(t, store, decline, request)
		again := send(t, store, payment.ChargeApproved, request)
		if diff := cmp.Diff(first.Payment, again.Payment); diff != "" {
			t.Errorf("%s, then approved (-first +again):\n%s", decline, diff)
		}
		if got := entries(t, db.Pool, request.ID); len(got) != 0 {
			t.Errorf("%s: got ledger %v, want none", decline, got)
		}
	}
}

// One row that the table refuses fails the statement, and with it the whole batch: all or nothing.
func TestABatchThatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Payments(t)
	store := paymentdb.New(db.Pool)
	good, bad := newRequest(), newRequest()
	bad.AmountMinor = payment.MaxAmount + 1

	if results, err := store.Charge(t.Context(), []payment.Authorisation{approved(good), approved(bad)}); err == nil {
		t.Errorf("charge: got %+v, want an error", results)
	}
	if results, err := store.Void(t.Context(), []payment.Request{good, bad}); err == nil {
		t.Errorf("void: got %+v, want an error", results)
	}
	if p, _, err := store.Get(t.Context(), good.ID); !errors.Is(err, paymentdb.ErrNotFound) {
		t.Errorf("got %+v, error %v, want ErrNotFound", p, err)
	}
}
