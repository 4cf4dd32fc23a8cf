package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/page"
)

func TestListPaymentsPagesThroughWhatTheFiltersSelect(t *testing.T) {
	t.Parallel()
	s := start(t)
	var all, mine []string
	for i := range 7 {
		c := newCharge(500)
		if i%2 == 0 {
			c.CustomerId = "c-2"
			mine = append(mine, c.GetPaymentId())
		}
		all = append(all, c.GetPaymentId())
		s.charge(t, c)
	}
	slices.Reverse(all)
	slices.Reverse(mine)
	for _, list := range []struct {
		request *paymentv1.ListPaymentsRequest
		want    []string
	}{
		{&paymentv1.ListPaymentsRequest{PageSize: 3}, all},
		{&paymentv1.ListPaymentsRequest{PageSize: 2, CustomerId: "c-2", Status: charged}, mine},
		{&paymentv1.ListPaymentsRequest{Status: declined}, nil},
	} {
		if diff := cmp.Diff(list.want, readList(t, s, list.request)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", list.request, diff)
		}
	}
}

// readList follows the tokens to the end. No page may be empty but the only one.
func readList(t *testing.T, s *system, request *paymentv1.ListPaymentsRequest) (ids []string) {
	t.Helper()
	for {
		page, err := s.ListPayments(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.GetPayments() {
			ids = append(ids, p.GetPaymentId())
		}
		if page.GetNextPageToken() == "" {
			return ids
		}
		if len(page.GetPayments()) != int(request.GetPageSize()) {
			t.Errorf("got a page of %d with a next one, want %d", len(page.GetPayments()), request.GetPageSize())
		}
		request.PageToken = page.GetNextPageToken()
	}
}

func TestListPaymentsRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	bad := &paymentv1.ListPaymentsRequest{PageSize: -1, CustomerId: "a\r\nb", Status: 77}
	_, err := s.ListPayments(t.Context(), bad)
	wantInvalid(t, err, "page_size", "customer_id", "status")
	for _, token := range []string{"x", "!", page.Token(page.AtUUID(newID()), "payments", "", "CHARGED")} {
		_, err := s.ListPayments(t.Context(), &paymentv1.ListPaymentsRequest{PageToken: token})
		wantInvalid(t, err, "page_token")
	}
}
