package main

import (
	"encoding/base64"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
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
	_, err := s.ListPayments(t.Context(), &paymentv1.ListPaymentsRequest{PageSize: -1, CustomerId: "a\r\nb", Status: 77})
	wantInvalid(t, err, "page_size", "customer_id", "status")
	for _, token := range []string{"x", "!", toToken(newID(), paymentdb.Filter{Status: payment.Charged})} {
		_, err := s.ListPayments(t.Context(), &paymentv1.ListPaymentsRequest{PageToken: token})
		wantInvalid(t, err, "page_token")
	}
}

func TestAPageIsFiftyByDefaultAndAThousandAtMost(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int32]int{0: 50, 1: 1, 1000: 1000, 1001: 1000, 1_000_000_000: 1000} {
		if got := pageSize(asked); got != want {
			t.Errorf("asked for %d: got %d, want %d", asked, got, want)
		}
	}
}

func TestAPageTokenIsGoodForItsOwnListOnly(t *testing.T) {
	t.Parallel()
	id := newID()
	filters := []paymentdb.Filter{
		{}, {CustomerID: "c"}, {Status: payment.Charged}, {CustomerID: "c", Status: payment.Charged}, {CustomerID: "c-CHARGED"},
	}
	for _, made := range filters {
		token := toToken(id, made)
		for _, used := range filters {
			got, err := fromToken(token, used)
			if made == used && (err != nil || got != id) {
				t.Errorf("%+v: got %q, error %v, want %s", made, got, err, id)
			}
			if made != used && err == nil {
				t.Errorf("a token of %+v was taken for %+v", made, used)
			}
		}
	}
}

func TestAPageTokenThatWasAlteredIsRefused(t *testing.T) {
	t.Parallel()
	token := toToken(newID(), paymentdb.Filter{})
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		forged := slices.Clone(raw)
		forged[i] ^= 1
		if got, err := fromToken(base64.RawURLEncoding.EncodeToString(forged), paymentdb.Filter{}); err == nil {
			t.Errorf("byte %d altered: got %s, want an error", i, got)
		}
	}
	for i := 1; i < len(token); i++ {
		if got, err := fromToken(token[:i], paymentdb.Filter{}); err == nil {
			t.Errorf("cut to %d: got %s, want an error", i, got)
		}
	}
	if got, err := fromToken(token+"A", paymentdb.Filter{}); err == nil {
		t.Errorf("longer: got %s, want an error", got)
	}
}
