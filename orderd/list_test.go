package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/slow"
)

// A page is the same as JSON, and so is the token of the next one.
func TestPagesShowEachOrderOnceWhileOthersAreAdded(t *testing.T) {
	t.Parallel()
	r := startDoor(t)
	var want []string
	for range 7 {
		want = append([]string{r.create(t).GetOrderId()}, want...)
	}
	var got []string
	list := &orderv1.ListOrdersRequest{PageSize: 3, CustomerId: "alice", Status: orderv1.Order_STATUS_PENDING}
	for {
		reply, err := r.client.ListOrders(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		var twin orderv1.ListOrdersResponse
		if r.send(t, "GET", listPath(list), "").into(t, &twin); !proto.Equal(&twin, reply) {
			t.Errorf("as JSON: got %v, want %v", &twin, reply)
		}
		for _, o := range reply.GetOrders() {
			got = append(got, o.GetOrderId())
		}
		if list.PageToken = reply.GetNextPageToken(); list.GetPageToken() == "" {
			break
		}
		r.create(t)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

func TestAFullLastPageHasNoToken(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.create(t)
	r.create(t)
	reply, err := r.client.ListOrders(t.Context(), &orderv1.ListOrdersRequest{PageSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(reply.GetOrders()) != 2 || reply.GetNextPageToken() != "" {
		t.Errorf("got %d orders, token %q; want 2 and none", len(reply.GetOrders()), reply.GetNextPageToken())
	}
}

// pages reads a list to its end, and returns how many orders each page has.
func (r *running) pages(t *testing.T, list *orderv1.ListOrdersRequest) (sizes []int, ids []string) {
	t.Helper()
	for {
		reply, err := r.client.ListOrders(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		if got := proto.Size(reply); got > 1<<20+100 {
			t.Errorf("got a page of %d bytes, want a mebibyte at most", got)
		}
		sizes = append(sizes, len(reply.GetOrders()))
		for _, o := range reply.GetOrders() {
			ids = append(ids, o.GetOrderId())
		}
		if list.PageToken = reply.GetNextPageToken(); list.GetPageToken() == "" {
			return sizes, ids
		}
	}
}

// Orders with a hundred long items are some 40 KiB each. A thousand of them on one page would be more than clients
// take.
func TestAPageOfLargeOrdersEndsAtAMebibyte(t *testing.T) {
	t.Parallel()
	r := start(t)
	large := request()
	large.Items = nil
	for range 100 {
		large.Items = append(large.Items, &orderv1.Item{Name: strings.Repeat("茶", 130), Quantity: 1, UnitPrice: 1})
	}
	var want []string
	for range 60 {
		reply, err := r.client.CreateOrder(t.Context(), large)
		if err != nil {
			t.Fatal(err)
		}
		want = append([]string{reply.GetOrder().GetOrderId()}, want...)
	}
	sizes, got := r.pages(t, &orderv1.ListOrdersRequest{PageSize: 1000})
	if diff := cmp.Diff(want, got); diff != "" || len(sizes) != 3 {
		t.Errorf("got pages of %v orders, want three; orders (-want +got):\n%s", sizes, diff)
	}
}

// One order among more than 10,000 is CANCELLED, the oldest. A call that would look at all of them for it answers an
// empty page, and the token by which the next one goes on from where it stopped.
func TestAFilterThatFindsNothingAnswersAnEmptyPageAndAToken(t *testing.T) {
	t.Parallel()
	slow.Test(t, "makes 10,000 orders")
	r := start(t)
	id := r.create(t).GetOrderId()
	if _, err := r.client.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
		t.Fatal(err)
	}
	r.settle(t, id, "CANCELLING", "CANCELLED")
	_, err := r.db.Pool.Exec(t.Context(), `
		INSERT INTO orders (id, customer_id, items, amount_minor, currency, deadline_at)
		SELECT ('f' || substr(gen_random_uuid()::text, 2))::uuid, 'bob', '[{}]', 1, 'JPY', clock_timestamp()
		FROM generate_series(1, 10000)`)
	if err != nil {
		t.Fatal(err)
	}
	sizes, ids := r.pages(t, &orderv1.ListOrdersRequest{Status: orderv1.Order_STATUS_CANCELLED})
	if !slices.Equal(sizes, []int{0, 1}) || ids[0] != id {
		t.Errorf("got pages of %v orders, %v; want an empty one and then %s", sizes, ids, id)
	}
	sizes, ids = r.pages(t, &orderv1.ListOrdersRequest{
		Status: orderv1.Order_STATUS_CANCELLED, CustomerId: "alice", // who has no other
	})
	if !slices.Equal(sizes, []int{1}) || ids[0] != id {
		t.Errorf("of the customer: got pages of %v orders, %v; want %s alone", sizes, ids, id)
	}
}
