package paymentdb_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

func TestPagesHoldEachPaymentOnceByDescendingKey(t *testing.T) {
	t.Parallel()
	store := paymentdb.New(pgtest.Payments(t).Pool)
	want := map[paymentdb.Filter][]string{}
	for i := range 20 {
		request := newRequest()
		request.CustomerID = []string{"c-1", "c-2"}[i%2]
		command := []payment.Command{payment.ChargeApproved, payment.ChargeDeclined, payment.Void}[i%3]
		status := send(t, store, command, request).Payment.Status
		for _, f := range []paymentdb.Filter{
			{}, {CustomerID: request.CustomerID}, {Status: status}, {CustomerID: request.CustomerID, Status: status},
		} {
			want[f] = append(want[f], request.ID)
		}
	}
	for filter, ids := range want {
		slices.Sort(ids)
		slices.Reverse(ids)
		if diff := cmp.Diff(ids, readPages(t, store, filter)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", filter, diff)
		}
	}
	if got := readPages(t, store, paymentdb.Filter{CustomerID: "nobody"}); got != nil {
		t.Errorf("a customer without payments: got %v, want none", got)
	}
}

// readPages reads to the end, three payments a page.
func readPages(t *testing.T, store *paymentdb.Store, filter paymentdb.Filter) []string {
	t.Helper()
	var ids []string
	for after := ""; ; {
		page, rest, err := store.List(t.Context(), filter, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			ids = append(ids, p.ID)
		}
		if rest == "" {
			return ids
		}
		after = rest
	}
}

// One payment of 10,001 is VOIDED, the last one. A call that would look at all of them for it returns none, and where
// the next one goes on.
func TestAFilterLooksAtABoundedNumberOfPayments(t *testing.T) {
	t.Parallel()
	slow.Test(t, "makes 10,000 payments")
	db := pgtest.Payments(t)
	const last = "00000000-0000-7000-8000-000000000001"
	_, err := db.Pool.Exec(t.Context(), `
		INSERT INTO payments (id, customer_id, amount_minor, currency, status, decline_reason)
		SELECT gen_random_uuid(), 'c-1', 1, 'JPY', 'DECLINED', 'EXPIRED'
		FROM generate_series(1, 10000)
		UNION ALL
		SELECT $1, 'c-2', 1, 'JPY', 'VOIDED', NULL`, last)
	if err != nil {
		t.Fatal(err)
	}
	store := paymentdb.New(db.Pool)
	none, rest, err := store.List(t.Context(), paymentdb.Filter{Status: payment.Voided}, "", 50)
	if err != nil || len(none) != 0 || rest == "" {
		t.Fatalf("got %d payments and the rest after %q, error %v; want none and where to go on", len(none), rest, err)
	}
	for filter, after := range map[paymentdb.Filter]string{
		{Status: payment.Voided}:                    rest,
		{Status: payment.Voided, CustomerID: "c-2"}: "", // who has no other
	} {
		got, rest, err := store.List(t.Context(), filter, after, 50)
		if err != nil || len(got) != 1 || got[0].ID != last || rest != "" {
			t.Errorf("%+v after %q: got %v and the rest after %q, error %v; want the last one",
				filter, after, got, rest, err)
		}
	}
}
