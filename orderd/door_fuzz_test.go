package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"hosho/internal/lab/fuzz"
	"hosho/internal/slow"
)

// FuzzDoor has Go make up what comes through the JSON door.
func FuzzDoor(f *testing.F) {
	d := startDoor(f)
	for _, s := range doorSeeds(d.order(f, ghost).GetOrderId()) {
		f.Add(s.method, s.path, s.query, s.key, s.body)
	}
	f.Fuzz(func(t *testing.T, method, path, query, key, body string) {
		d.ask(t, anything{method, path, query, key, body})
	})
}

// Requests are drawn that are good ones, of which a part is another's, or has something odd in it.
func TestNothingIsTooStrangeForTheDoor(t *testing.T) {
	slow.Test(t, "walks at random through requests")
	t.Parallel()
	d := startDoor(t)
	seeds := doorSeeds(d.order(t, ghost).GetOrderId())
	rapid.Check(t, func(rt *rapid.T) {
		for range 5 {
			a := rapid.SampledFrom(seeds).Draw(rt, "request")
			other := rapid.SampledFrom(seeds).Draw(rt, "another")
			a.method = drawPart(rt, "method", a.method, other.method)
			a.path = drawPart(rt, "path", a.path, other.path)
			a.query = drawPart(rt, "query", a.query, other.query)
			a.key = drawPart(rt, "key", a.key, other.key)
			a.body = drawPart(rt, "body", a.body, other.body)
			d.ask(rt, a)
		}
	})
}

// drawPart draws what is in a request's place: what is there, for the most part.
func drawPart(rt *rapid.T, name, text, other string) string {
	switch rapid.IntRange(0, 9).Draw(rt, name) {
	case 8:
		return other
	case 9:
		from := rapid.IntRange(0, len(text)).Draw(rt, "from")
		to := rapid.IntRange(from, min(len(text), from+9)).Draw(rt, "to")
		return text[:from] + rapid.SampledFrom(oddities).Draw(rt, "oddity") + text[to:]
	}
	return text
}

// anything is a request of which nobody has looked at what is in it.
type anything struct{ method, path, query, key, body string }

// oddities are what texts are cut and mended with.
var oddities = []string{
	"", "\x00", "\xff", "\\", `"`, `\u0000`, `\ud800`, "null", "[", "]", "{", "}", ",", ":", "/", "%", "%ff", "%00",
	"..", "&", "=", ";", "+", " ", "\t", "-1", "0", "1e3", "1e999", "9223372036854775808", "STATUS_PENDING", "é",
	"\u202e", "request_id", strings.Repeat("a", 300),
}

func doorSeeds(id string) []anything {
	const all = "/v1/orders"
	full := strings.Replace(ghost, "{", `{"requestId": "a", "wait": "0s", `, 1)
	return []anything{
		{"POST", all, "", "", ghost},
		{"POST", all, "wait=0s", "a", full},
		{"POST", all, "", `"b"`, `{"customerId": "bob", "currencyCode": "EUR",
			"items": [{"name": "tea", "quantity": "2", "unitPrice": "1"}]}`},
		{"GET", all, "page_size=2&customerId=alice&status=STATUS_PENDING", "", ""},
		{"GET", all, "page_token=AAAA", "", ""},
		{"GET", all + "/" + id, "customer_id=alice", "", ""},
		{"GET", all + "/" + id + ":watch", "customer_id=bob", "", ""},
		{"POST", all + "/" + id + ":cancel", "", "", ""},
		{"GET", "/", "", "", ""},
		{"GET", "/openapi.json", "", "", ""},
	}
}

// ask sends it, and checks its answer: a message, a page, or an error that has one reason. An order comes of it when it
// is answered so, and never else.
func (d *doored) ask(t fuzz.TB, a anything) {
	t.Helper()
	r := d.request(a)
	if r == nil {
		return
	}
	before := d.placed(t)
	got, kind := d.answerTo(t, r)
	made := d.placed(t) - before
	placed := got.code == http.StatusOK && strings.HasPrefix(got.body, `{"order":`)
	switch {
	case made > 1 || made == 1 && !placed:
		t.Errorf("%q: got %d orders, and %d %s", a, made, got.code, got.body)
	case got.code != http.StatusOK && r.Method != http.MethodHead: // which is answered without a body
		checkRefusal(t, a, got)
	case kind == "application/json" && got.body != "" && !json.Valid([]byte(got.body)):
		t.Errorf("%q: got %s, want JSON", a, got.body)
	}
}

// refusals are the codes of what is refused. There is no 500 among them.
var refusals = []int{400, 403, 404, 405, 409, 413, 415, 421}

func checkRefusal(t fuzz.TB, a anything, got answered) {
	t.Helper()
	if !slices.Contains(refusals, got.code) {
		t.Errorf("%q: got %d %s, want one of %v", a, got.code, got.body, refusals)
	}
	reasons := 0
	for _, detail := range status.Convert(got.err(t)).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() != "" && info.GetDomain() == "hosho" {
			reasons++
		}
	}
	if reasons != 1 {
		t.Errorf("%q: got %d %s, want one reason", a, got.code, got.body)
	}
}

// request makes a request of anything, nil of what no client can send. Bytes that have no place in a line of HTTP are
// written as JSON's clients would.
func (d *doored) request(a anything) *http.Request {
	u, err := url.Parse(d.base)
	if err != nil || len(a.path)+len(a.query)+len(a.key) > 2000 || a.method == http.MethodConnect {
		return nil
	}
	u.Path = a.path
	for _, c := range []byte(a.query) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			u.RawQuery += fmt.Sprintf("%%%02x", c)
		} else {
			u.RawQuery += string(c)
		}
	}
	r, err := http.NewRequestWithContext(context.Background(), a.method, u.String(), strings.NewReader(a.body))
	if err != nil { // the method is none
		return nil
	}
	if a.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key := strings.Map(printed, a.key); key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	return r
}

func printed(c rune) rune {
	if c < ' ' || c == 0x7f {
		return -1
	}
	return c
}

// answerTo returns what a request is answered. A stream would go on for ever: it is not read.
func (d *doored) answerTo(t fuzz.TB, r *http.Request) (got answered, kind string) {
	t.Helper()
	reply, err := d.http.Do(r)
	if err != nil {
		t.Fatalf("%s %q: %v", r.Method, r.URL, err)
	}
	defer reply.Body.Close()
	got, kind = answered{code: reply.StatusCode}, reply.Header.Get("Content-Type")
	if kind == "application/x-ndjson" {
		return got, kind
	}
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatalf("%s %q: %v", r.Method, r.URL, err)
	}
	got.body = string(text)
	return got, kind
}

func (d *doored) placed(t fuzz.TB) (n int) {
	t.Helper()
	if err := d.db.Pool.QueryRow(context.Background(), `SELECT count(*) FROM orders`).Scan(&n); err != nil {
		t.Fatalf("%v", err)
	}
	return n
}
