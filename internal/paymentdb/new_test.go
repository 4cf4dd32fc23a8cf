package paymentdb_test

import (
	"slices"
	"testing"
	"time"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// Whoever adds up what is new has what is in the tables, however often each is asked for.
func TestADecisionIsNewOnce(t *testing.T) {
	t.Parallel()
	store := paymentdb.New(pgtest.Payments(t).Pool)
	good, poor, late := approved(newRequest()), declined(newRequest()), approved(newRequest())
	late.NotAfter = time.Now().Add(-time.Hour)
	other := good
	other.AmountMinor++
	unknown := newRequest()

	charge := func(want []bool, charges ...payment.Authorisation) {
		t.Helper()
		results, err := store.Charge(t.Context(), charges)
		wantNew(t, results, err, want)
	}
	void := func(want []bool, requests ...payment.Request) {
		t.Helper()
		results, err := store.Void(t.Context(), requests)
		wantNew(t, results, err, want)
	}
	charge([]bool{true, false, true, true, false}, good, good, poor, late, other)
	charge([]bool{false, false, false}, late, poor, good)
	charge([]bool{false, true}, poor, approved(newRequest())) // past those that are known
	results, err := store.Lookup(t.Context(), []payment.Request{good.Request, unknown})
	wantNew(t, results, err, []bool{false, false})
	void([]bool{false, true, false, false, true, false}, other.Request, good.Request, good.Request, poor.Request,
		unknown, unknown)
	void([]bool{false, false}, good.Request, unknown)
	charge([]bool{false, false}, good, payment.Authorisation{
		Charge: payment.Charge{Request: unknown}, Verdict: payment.Verdict{Approved: true},
	})
}

func wantNew(t *testing.T, results []paymentdb.Result, err error, want []bool) {
	t.Helper()
	got := make([]bool, len(results))
	for i := range results {
		got[i] = results[i].New
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v as new, error %v; want %v", got, err, want)
	}
}
