package stack_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"hosho/internal/authority"
	"hosho/internal/lab/stack"
	"hosho/internal/policy"
	"hosho/internal/slow"
)

// asked is what comes of a request through the JSON door: the HTTP code, and the reason of an error.
type asked struct {
	code   int
	reason string
	body   string
}

// client is one over HTTP, whose certificate, if any, has the door believe whose its requests are.
func client(t *testing.T, certificate *tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify:   true, // whether it is let in is the door's affair alone
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil },
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: longWait}
}

// over asks by a client.
func over(t *testing.T, by *http.Client, method, url, body string, headers ...string) (asked, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	reply, err := by.Do(r)
	if err != nil {
		return asked{}, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Details []struct{ Reason string } }
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&s); err != nil {
		t.Fatalf("%s %s: %d %s: %v", method, url, reply.StatusCode, text, err)
	}
	a := asked{code: reply.StatusCode, body: string(text)}
	if len(s.Details) > 0 {
		a.reason = s.Details[0].Reason
	}
	return a, nil
}

// doors are the calls as HTTP has them, each with what a policy calls it. They say nothing that could be done.
var doors = []struct{ permission, method, path, body string }{
	{"order.v1.OrderService/CreateOrder", http.MethodPost, "/v1/orders", "{}"},
	{"order.v1.OrderService/ListOrders", http.MethodGet, "/v1/orders?customer_id=test", ""},
	{policy.ListAll, http.MethodGet, "/v1/orders", ""},
	{"order.v1.OrderService/GetOrder", http.MethodGet, "/v1/orders/none", ""},
	{"order.v1.OrderService/CancelOrder", http.MethodPost, "/v1/orders/none:cancel", ""},
	{"order.v1.OrderService/WatchOrder", http.MethodGet, "/v1/orders/none:watch", ""},
}

// forged are headers by which a client could hope to be taken for the shop.
var forged = []string{
	"Grpc-Metadata-Hosho-Caller: " + authority.ID("shop"), "Hosho-Caller: " + authority.ID("shop"),
	"Grpc-Metadata-Authorization: shop", "Authorization: Bearer shop", "X-Forwarded-For: 127.0.0.1",
	"X-Forwarded-Client-Cert: URI=" + authority.ID("shop"), "Grpc-Timeout: 1n",
}

// atTheDoor asks for each call through the JSON door, as each identity, whatever the headers of its requests say of
// that. Who has a certificate that proves nothing is not let in.
func (s *system) atTheDoor(t *testing.T, shipped *policy.Policy, identities []string) {
	t.Helper()
	url := "https://" + s.Orderd.HTTPAddress
	for _, who := range identities {
		by := client(t, pair(t, s.Authority(), authority.Wanted{
			Identity: authority.ID(who), Until: time.Now().Add(time.Hour),
		}))
		for _, call := range doors {
			_, may := shipped.May(authority.ID(who), call.permission)
			for _, headers := range [][]string{nil, forged} {
				a, err := over(t, by, call.method, url+call.path, call.body, headers...)
				if err != nil {
					t.Fatal(err)
				}
				refused := a.code == http.StatusForbidden && a.reason == "NOT_ALLOWED"
				taken := a.code == http.StatusOK ||
					a.code == http.StatusBadRequest && a.reason == "INVALID_FIELDS"
				if may != taken || may == refused {
					t.Errorf("%s, %s: got %d %s, want it allowed: %t", who, call.permission, a.code, a.body, may)
				}
			}
		}
	}
	clients := strangers(t, s.Authority(), authority.ID("shop"))
	clients["none"] = &tls.Certificate{}
	for name, certificate := range clients {
		if a, err := over(t, client(t, certificate), http.MethodGet, url+"/v1/orders", "", forged...); err == nil {
			t.Errorf("a certificate that is %s: got %d %s, want no connection", name, a.code, a.body)
		}
	}
}

// Orders are followed by many through the door while others are placed, through it and over gRPC, and paid. Each of
// those who follow hears how it ended.
func TestManyFollowOrdersWhileCallsGoOn(t *testing.T) {
	slow.Long(t, "has 300 connections to a whole system, as a test of orderd has to orderd alone")
	t.Parallel()
	s := start(t, bin, 1, func(c *stack.Config) { c.HTTP = true })
	const many = 300
	url := "http://" + s.Orderd.HTTPAddress + "/v1/orders"
	const hanging = `{"customer_id": "ada", "currency_code": "JPY",
		"items": [{"name": "Ghost", "quantity": 1, "unit_price": 9997}]}`
	var followed struct{ Order struct{ OrderID string } }
	by := client(t, nil)
	a, err := over(t, by, http.MethodPost, url, hanging)
	if err != nil || json.Unmarshal([]byte(a.body), &followed) != nil {
		t.Fatal(a, err)
	}
	ends := make(chan string, many)
	began := make(chan struct{}, many)
	for range many {
		go func() { ends <- lastLine(url+"/"+followed.Order.OrderID+":watch", began) }()
	}
	for range many {
		select {
		case <-began:
		case end := <-ends:
			t.Fatalf("got the end %q before all followed", end)
		}
	}
	for range 20 {
		a, err := over(t, by, http.MethodPost, url+"?wait=8s", strings.Replace(hanging, "9997", "1200", 1))
		if err != nil || a.code != http.StatusOK || !strings.Contains(a.body, "STATUS_COMPLETED") {
			t.Errorf("got %v, %v, want it COMPLETED", a, err)
		}
		s.await(t, "it is paid", `SELECT status = 'COMPLETED' FROM orders WHERE id = $1`, s.place(t, 1200))
	}
	a, err = over(t, by, http.MethodPost, url+"/"+followed.Order.OrderID+":cancel", "")
	if err != nil || a.code != http.StatusOK {
		t.Errorf("got %v, %v, want it cancelled", a, err)
	}
	for range many {
		if end := <-ends; !strings.Contains(end, "STATUS_CANCELLED") {
			t.Fatalf("got the last line %q, want it CANCELLED", end)
		}
	}
}

// lastLine follows an order to its end. began is told when the first line has come.
func lastLine(url string, began chan<- struct{}) string {
	reply, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer reply.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(reply.Body, first); err != nil {
		return err.Error()
	}
	began <- struct{}{}
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(first)+string(text)), "\n")
	return lines[len(lines)-1]
}
