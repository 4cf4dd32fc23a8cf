package paymentdb_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
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
	for after := ""; ; after = ids[len(ids)-1] {
		page, err := store.List(t.Context(), filter, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			ids = append(ids, p.ID)
		}
		if len(page) < 3 {
			return ids
		}
	}
}
