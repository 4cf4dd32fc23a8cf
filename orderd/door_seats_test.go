package main

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/slow"
)

// following is a watch through the door, of which the first line has come.
type following struct {
	reply *http.Response
	lines *bufio.Scanner
	leave func()
}

// follow opens a watch. Its connection is its own.
func (d *doored) follow(t testing.TB, id string) *following {
	t.Helper()
	ctx, leave := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(leave)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/v1/orders/"+id+":watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := d.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reply.Body.Close() })
	f := &following{reply: reply, lines: bufio.NewScanner(reply.Body), leave: leave}
	if !f.lines.Scan() {
		t.Fatalf("got no line: %v", f.lines.Err())
	}
	return f
}

// followers is how many may follow orders through the door at a time (doc/json.md).
const followers = 500

// As many follow orders as may, and one more is refused, as is one who would wait for his order. Those who place, read,
// list and cancel orders do so all the same, through this door and the other; and a seat that is left is taken.
func TestFollowersKeepNobodyFromTheDoor(t *testing.T) {
	t.Parallel()
	slow.Long(t, "opens hundreds of streams")
	d := startDoor(t)
	id := d.order(t, ghost).GetOrderId()
	all := make([]*following, followers)
	for i := range all {
		if all[i] = d.follow(t, id); all[i].reply.StatusCode != http.StatusOK {
			t.Fatalf("watch %d: got %d %s, want a line", i+1, all[i].reply.StatusCode, all[i].lines.Text())
		}
	}
	for _, more := range []answered{
		d.send(t, "GET", "/v1/orders/"+id+":watch", ""), d.send(t, "POST", "/v1/orders?wait=1s", ghost),
	} {
		wantStatus(t, more, http.StatusTooManyRequests, "OVERLOADED", "try again later")
		if more.header.Get("Retry-After") != "5" {
			t.Errorf("got Retry-After %q, want 5", more.header.Get("Retry-After"))
		}
	}
	other := d.order(t, ghost)
	var list orderv1.ListOrdersResponse
	d.send(t, "GET", "/v1/orders", "").into(t, &list)
	if len(list.GetOrders()) != 2 {
		t.Errorf("got %v, want both orders and none of who would have waited", list.GetOrders())
	}
	if _, err := d.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: other.GetOrderId()}); err != nil {
		t.Error(err)
	}
	all[0].leave()
	for { // that he has left is seen when his connection is
		a := d.send(t, "POST", "/v1/orders?wait=0.01s", ghost)
		if a.code == http.StatusOK {
			break
		}
		wantStatus(t, a, http.StatusTooManyRequests, "OVERLOADED", "")
	}
	d.send(t, "POST", "/v1/orders/"+id+":cancel", "")
	for _, f := range all[1:] {
		if !f.lines.Scan() || !strings.Contains(f.lines.Text(), "STATUS_CANCELLING") {
			t.Fatalf("got %q, want each to hear of the cancel", f.lines.Text())
		}
	}
}

// Whoever follows an order when the server stops is told so, in a line like the others, and finds another server. A
// request that waits is answered with its order.
func TestWhoFollowsIsToldThatTheServerStops(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	f := d.follow(t, d.order(t, ghost).GetOrderId())
	waited := make(chan answered)
	go func() { waited <- d.send(t, "POST", "/v1/orders?wait=9s", ghost) }()
	for len(d.orders(t)) < 2 {
	}
	d.stop()
	if !f.lines.Scan() || !strings.HasPrefix(f.lines.Text(), `{"error":{"code":14,`) ||
		!strings.Contains(f.lines.Text(), "STOPPING") {
		t.Errorf("got %q, want an error that says so", f.lines.Text())
	}
	if f.lines.Scan() {
		t.Errorf("got %q after the end", f.lines.Text())
	}
	if a := <-waited; a.code != http.StatusOK || !strings.Contains(a.body, "STATUS_PENDING") {
		t.Errorf("got %d %s, want the order as it is", a.code, a.body)
	}
}

func (d *doored) orders(t testing.TB) []*orderv1.Order {
	t.Helper()
	reply, err := d.client.ListOrders(t.Context(), &orderv1.ListOrdersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetOrders()
}
