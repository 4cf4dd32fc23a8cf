package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/fuzz"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// doored is an orderd with its JSON door.
type doored struct {
	*running
	base string
	http *http.Client // of the test's own: nobody else's connections are in its way
}

func startDoor(t testing.TB) *doored {
	t.Helper()
	db := pgtest.Orders(t)
	r := serveOn(t, db, db.As(t, orderdb.OrderdNeeds()).URL, func(s *serve) {
		s.HTTPListen, s.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	})
	r.logs.await(t, "ready")
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &doored{r, "http://" + r.logs.await(t, "serving")["http"].String(), &http.Client{Transport: transport}}
}

// answered is what came of a request.
type answered struct {
	code   int
	header http.Header
	body   string
}

// send sends a request. A header is "Name: value".
func (d *doored) send(t testing.TB, method, path, body string, headers ...string) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		} else if value == "" {
			r.Header.Del(name)
		} else {
			r.Header.Add(name, value)
		}
	}
	reply, err := d.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{reply.StatusCode, reply.Header, string(text)}
}

// err is the status that a request was answered with, as a gRPC client has it; nil for a message.
func (a answered) err(t fuzz.TB) error {
	t.Helper()
	if a.code == http.StatusOK {
		return nil
	}
	var s spb.Status
	if err := protojson.Unmarshal([]byte(a.body), &s); err != nil {
		t.Fatalf("got %d %q, want a google.rpc.Status: %v", a.code, a.body, err)
	}
	return status.ErrorProto(&s)
}

func (a answered) into(t testing.TB, m proto.Message) {
	t.Helper()
	if a.code != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("got %d, %s: %s", a.code, a.header.Get("Content-Type"), a.body)
	}
	if err := protojson.Unmarshal([]byte(a.body), m); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

const ghost = `{"customer_id": "alice", "currency_code": "JPY",
	"items": [{"name": "Ghost", "quantity": 1, "unit_price": 9999}]}`

func (d *doored) order(t testing.TB, body string) *orderv1.Order {
	t.Helper()
	var placed orderv1.CreateOrderResponse
	d.send(t, "POST", "/v1/orders", body).into(t, &placed)
	return placed.GetOrder()
}

// Each call answers over HTTP what it answers over gRPC.
func TestTheDoorAnswersAsTheCallsDo(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	placed := d.order(t, ghost)
	native, err := d.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: placed.GetOrderId()})
	if err != nil || !proto.Equal(native.GetOrder(), placed) {
		t.Fatalf("got %v, want the order that gRPC answers: %v, %v", placed, native, err)
	}
	path := "/v1/orders/" + placed.GetOrderId()
	var got orderv1.GetOrderResponse
	d.send(t, "GET", path, "").into(t, &got)
	if !proto.Equal(&got, native) {
		t.Errorf("got %v, want %v", &got, native)
	}
	var list orderv1.ListOrdersResponse
	d.send(t, "GET", "/v1/orders?customerId=alice&page_size=10&status=STATUS_PENDING", "").into(t, &list)
	if len(list.GetOrders()) != 1 || !proto.Equal(list.GetOrders()[0], placed) {
		t.Errorf("got %v, want the order", &list)
	}
	var cancelled orderv1.CancelOrderResponse
	d.send(t, "POST", path+":cancel?customer_id=alice", "").into(t, &cancelled)
	if cancelled.GetOrder().GetStatus() != orderv1.Order_STATUS_CANCELLING {
		t.Errorf("got %v, want it CANCELLING", &cancelled)
	}
	none := d.send(t, "GET", "/v1/orders/0198f6a4-8d02-7c3e-9f0b-2f1b6f0c9a11", "")
	if none.code != http.StatusNotFound || none.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s, want 404", none.code, none.body)
	}
}

// What is answered is one line of JSON without blanks, whichever build answers it. Numbers of 64 bits are strings, and
// what is not set is left out.
func TestAnAnswerIsALine(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	placed := d.order(t, ghost)
	got := d.send(t, "GET", "/v1/orders/"+placed.GetOrderId(), "")
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(got.body)); err != nil || compact.String()+"\n" != got.body {
		t.Errorf("got %q, want one line without blanks", got.body)
	}
	for _, want := range []string{`"unitPrice":"9999"`, `"quantity":1`, `"status":"STATUS_PENDING"`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("got %s, want %s in it", got.body, want)
		}
	}
	if strings.Contains(got.body, "cancelReason") {
		t.Errorf("got %s, want no reason", got.body)
	}
}

// An order is followed, a line for each change. Who follows one that nobody knows is answered as by any other call.
func TestAnOrderIsFollowedThroughTheDoor(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	placed := d.order(t, ghost)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	r, err := http.NewRequestWithContext(ctx, "GET", d.base+"/v1/orders/"+placed.GetOrderId()+":watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := d.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	next := func() *orderv1.Order {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("got no line: %v", lines.Err())
		}
		var line struct{ Result json.RawMessage }
		var m orderv1.WatchOrderResponse
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if err := protojson.Unmarshal(line.Result, &m); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		return m.GetOrder()
	}
	if got := next(); reply.Header.Get("Content-Type") != "application/x-ndjson" || !proto.Equal(got, placed) {
		t.Errorf("got %s: %v, want the order as it is", reply.Header.Get("Content-Type"), got)
	}
	d.send(t, "POST", "/v1/orders/"+placed.GetOrderId()+":cancel", "")
	if got := next(); got.GetStatus() != orderv1.Order_STATUS_CANCELLING {
		t.Errorf("got %v, want it CANCELLING", got)
	}
	leave()
	none := d.send(t, "GET", "/v1/orders/0198f6a4-8d02-7c3e-9f0b-2f1b6f0c9a11:watch", "")
	wantStatus(t, none, http.StatusNotFound, "ORDER_NOT_FOUND", "there is no such order")
	if got := none.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("got %s of an error, want application/json", got)
	}
}

// The header Idempotency-Key is the request_id, with the quotes of its draft or without, and the query's wait is the
// body's.
func TestARequestIsRepeatedByItsHeader(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	send := func(key, body string) answered {
		return d.send(t, "POST", "/v1/orders?wait=0.01s", body, "Idempotency-Key: "+key)
	}
	var first, second, third orderv1.CreateOrderResponse
	send("ghost-1", ghost).into(t, &first)
	send(`"ghost-1"`, ghost).into(t, &second)
	both := strings.Replace(ghost, "{", `{"request_id": "ghost-1", "wait": "0.010s", `, 1)
	send("ghost-1", both).into(t, &third)
	for _, again := range []*orderv1.CreateOrderResponse{&second, &third} {
		if again.GetOrder().GetOrderId() != first.GetOrder().GetOrderId() {
			t.Errorf("got %v, want %v", again, &first)
		}
	}
	other := send("ghost-1", strings.Replace(ghost, "9999", "1", 1))
	wantStatus(t, other, http.StatusConflict, "REQUEST_ID_REUSED", "")
}

func wantStatus(t testing.TB, a answered, code int, reason, message string) {
	t.Helper()
	err := a.err(t)
	got := ""
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			got = info.GetReason()
		}
	}
	if a.code != code || got != reason || !strings.Contains(status.Convert(err).Message(), message) {
		t.Errorf("got %d %s, want %d %s: %s", a.code, a.body, code, reason, message)
	}
}

// Without certificates whoever reaches the port may call: so a browser must not be led here by a foreign name, nor by a
// page of another site.
func TestABrowserIsNotLedThroughTheDoor(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	id := d.order(t, ghost).GetOrderId()
	for name, test := range map[string]struct {
		method, path, body, header string
		code                       int
	}{
		"a foreign host":            {"GET", "/v1/orders/" + id, "", "Host: shop.example:8000", 421},
		"a foreign host's page":     {"GET", "/", "", "Host: shop.example", 421},
		"an order from elsewhere":   {"POST", "/v1/orders", ghost, "Sec-Fetch-Site: cross-site", 403},
		"a cancel from elsewhere":   {"POST", "/v1/orders/" + id + ":cancel", "", "Sec-Fetch-Site: cross-site", 403},
		"a cancel by its origin":    {"POST", "/v1/orders/" + id + ":cancel", "", "Origin: http://shop.example", 403},
		"a watch from elsewhere":    {"GET", "/v1/orders/" + id + ":watch", "", "Sec-Fetch-Site: cross-site", 403},
		"a list by its origin":      {"GET", "/v1/orders", "", "Origin: http://shop.example", 403},
		"a cancel of the same site": {"POST", "/v1/orders/" + id + ":cancel", "", "Sec-Fetch-Site: same-site", 403},
	} {
		wantStatus(t, d.send(t, test.method, test.path, test.body, test.header), test.code, "MALFORMED_REQUEST", "")
		if t.Failed() {
			t.Log(name)
		}
	}
	var got orderv1.GetOrderResponse
	for _, host := range []string{"localhost:8000", "LOCALHOST.", "127.0.0.1", "[::1]:8000"} {
		d.send(t, "GET", "/v1/orders/"+id, "", "Host: "+host).into(t, &got)
	}
	if got.GetOrder().GetStatus() != orderv1.Order_STATUS_PENDING {
		t.Errorf("got %v, want it as it was", &got)
	}
	for _, own := range []answered{
		d.send(t, "POST", "/v1/orders", ghost, "Sec-Fetch-Site: same-origin"),
		d.send(t, "GET", "/v1/orders", "", "Sec-Fetch-Site: none"), // typed by somebody
		d.send(t, "GET", "/", "", "Sec-Fetch-Site: cross-site"),    // a link leads to the page
	} {
		if own.code != http.StatusOK {
			t.Errorf("got %d %s, want an answer", own.code, own.body)
		}
	}
}

// The pages are for whoever opens the address, and each line that they show is one that works (internal/lab/stack).
func TestTheDoorSaysWhatItTakes(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	text, page := d.send(t, "GET", "/", ""), d.send(t, "GET", "/", "", "Accept: text/html,*/*;q=0.8")
	if !strings.HasPrefix(text.header.Get("Content-Type"), "text/plain") ||
		!strings.Contains(text.body, "curl '"+d.base) {
		t.Errorf("got %s:\n%s\nwant lines for a shell", text.header.Get("Content-Type"), text.body)
	}
	if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || !strings.Contains(page.body, "<pre>") ||
		page.header.Get("Content-Security-Policy") == "" {
		t.Errorf("got %v:\n%s\nwant a page", page.header, page.body)
	}
	document := d.send(t, "GET", "/openapi.json", "")
	var openapi struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(document.body), &openapi); err != nil {
		t.Fatal(err)
	}
	var got []string
	for path, methods := range openapi.Paths {
		for method := range methods {
			got = append(got, strings.ToUpper(method)+" "+strings.ReplaceAll(path, "orderId", "order_id"))
		}
	}
	want := map[string]bool{
		"POST /v1/orders": true, "GET /v1/orders": true, "GET /v1/orders/{order_id}": true,
		"POST /v1/orders/{order_id}:cancel": true, "GET /v1/orders/{order_id}:watch": true,
	}
	found := map[string]bool{}
	for _, g := range got {
		found[g] = true
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("the calls (-want +got):\n%s", diff)
	}
	for line := range want {
		method, path, _ := strings.Cut(line, " ")
		a := d.send(t, method, strings.Replace(path, "{order_id}", "1", 1), "")
		if a.code != http.StatusOK && a.code != http.StatusBadRequest {
			t.Errorf("%s: got %d %s, want a call", line, a.code, a.body)
		}
	}
}

// An order that is placed through the door goes on under the trace of whoever placed it.
func TestTheDoorPassesOnTheTrace(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	a := d.send(t, "POST", "/v1/orders", ghost, "traceparent: "+trace, "Grpc-Metadata-Traceparent: no")
	if a.code != http.StatusOK {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	var got string
	if err := d.db.Pool.QueryRow(t.Context(), `SELECT traceparent FROM outbox`).Scan(&got); err != nil || got != trace {
		t.Errorf("got %q, %v, want %q with the command", got, err, trace)
	}
}

// How many requests became no call is counted by why.
func TestWhatIsNoCallIsCounted(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	d.send(t, "GET", "/orders", "")
	d.send(t, "POST", "/v1/orders", "x")
	d.send(t, "GET", "/", "", "Host: shop.example")
	d.send(t, "POST", "/v1/orders", ghost, "Sec-Fetch-Site: cross-site")
	admin := *d
	admin.base = "http://" + d.logs.await(t, "serving")["admin"].String()
	text := admin.send(t, "GET", "/metrics", "").body
	for _, want := range []string{`"cross_site"} 1`, `"host"} 1`, `"malformed"} 2`, `"no_seat"} 0`} {
		if want = `hosho_http_refused_total{why=` + want + "\n"; !strings.Contains(text, want) {
			t.Errorf("want %s in\n%s", want, text)
		}
	}
}
