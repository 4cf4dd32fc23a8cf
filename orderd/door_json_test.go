package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// JSON has more ways to say a thing than a message has, and things that no message can say.
func TestWhatOnlyJSONCanSay(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	with := func(field string) string { return strings.Replace(ghost, "{", "{"+field+", ", 1) }
	without := func(old, text string) string { return strings.Replace(ghost, old, text, 1) }
	const malformed, invalid = "MALFORMED_REQUEST", "INVALID_FIELDS"
	type row struct{ body, reason, says string } // no reason: an order
	rows := map[string]row{
		"a BOM":                     {"\ufeff" + ghost, malformed, "invalid value"},
		"a comment":                 {"/* all */" + ghost, malformed, "invalid value /"},
		"a comma too many":          {with(`"request_id": "x",`), malformed, "unexpected token ,"},
		"deeper than anybody reads": {with(`"x": ` + strings.Repeat("[", 30_000)), malformed, "unknown field"},
		"nothing but depth":         {strings.Repeat("[", 60_000), malformed, "unexpected token ["},
		"items that are null":       {`{"items": null}`, invalid, "(and 2 more)"},
		"items that are none":       {`{"items": []}`, invalid, "(and 2 more)"},
		"an item that is null":      {`{"items": [null]}`, malformed, "unexpected token null"},
		"items by their numbers":    {`{"items": {"0": {}}}`, malformed, "unexpected token {"},
		"a name that is null":       {without(`"Ghost"`, "null"), invalid, "items[0].name"},
		"a name of another case":    {without("customer_id", "Customer_Id"), malformed, "unknown field"},
		"twice, in disguise":        {with(`"customer\u005fid": "bob"`), malformed, "duplicate field"},
		"null, and then not":        {with(`"requestId": null, "request_id": "x"`), malformed, "duplicate field"},
		"a type":                    {with(`"@type": "order.v1.Order"`), malformed, "unknown field"},
		"half a character":          {without("Ghost", `\ud800`), malformed, "invalid escape code"},
		"the other half":            {without("Ghost", `\udc00`), malformed, "invalid escape code"},
		"NUL":                       {without("Ghost", `\u0000`), invalid, "items[0].name"},
		"NUL as it is":              {without("Ghost", "\x00"), malformed, "invalid character"},
		"a character too long":      {without("Ghost", "\xc0\x80"), malformed, "invalid UTF-8"},
		"a wait as an object":       {with(`"wait": {"seconds": 1}`), malformed, "unexpected token {"},
		"a wait with a power":       {with(`"wait": "1e0s"`), malformed, "Duration"},

		"what is null":           {with(`"request_id": null, "wait": null`), "", ""},
		"a name with an escape":  {without("customer_id", `customer\u005fid`), "", ""},
		"both halves":            {without("Ghost", `\ud83d\udc7b`), "", ""},
		"a number as a string":   {without(`"quantity": 1`, `"quantity": "1"`), "", ""},
		"a wait without seconds": {with(`"wait": ".001s"`), "", ""},
	}
	for _, price := range []string{
		"NaN", `"NaN"`, "-Infinity", "1e999999999", `"1e999999999"`, "1e-999999999", "9999e-1", "01", `"01"`, "+1",
		`" 1"`, `""`, "true", "[1]", "0x1", "1_000", `"9223372036854775808"`,
	} {
		rows["the price "+price] = row{without("9999", price), malformed, "invalid value"}
	}
	for _, price := range []string{"-0", `"-0"`, "0e5", "null", "1e11", "-1"} {
		rows["the price "+price] = row{without("9999", price), invalid, "items[0].unit_price"}
	}
	for _, price := range []string{"1e3", `"1e3"`, "1000.0", "10000e-1"} { // a thousand, as proto3 JSON reads it
		rows["the price "+price] = row{without("9999", price), "", `"amountMinor":"1000"`}
	}
	want := 0
	for _, row := range rows {
		if row.reason == "" {
			want++
		}
	}
	t.Run("all", func(t *testing.T) {
		for name, row := range rows {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := d.send(t, "POST", "/v1/orders", row.body)
				if row.reason != "" {
					wantStatus(t, a, http.StatusBadRequest, row.reason, row.says)
				} else if a.code != http.StatusOK || !strings.Contains(a.body, row.says) {
					t.Errorf("got %d %s, want an order with %q", a.code, a.body, row.says)
				}
			})
		}
	})
	if n := d.count(t, `SELECT count(*) FROM orders`); n != want {
		t.Errorf("got %d orders, want %d", n, want)
	}
}

// However a body comes, it is read to its end, or there is no order.
func TestABodyComesInManyWays(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	const head = " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	const post, chunks = "POST /v1/orders" + head, "Transfer-Encoding: chunked\r\n\r\n"
	chunk := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) }
	size := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	const end, ask = "0\r\n\r\n", "Expect: 100-continue\r\n\r\n"
	sized := size(len(ghost)) + "\r\n" + ghost
	cancel := "POST /v1/orders/" + d.order(t, ghost).GetOrderId() + ":cancel" + head
	for name, test := range map[string]struct {
		sent string
		want string // the codes of what comes
	}{
		"in chunks":               {post + chunks + chunk(ghost) + end, "[200]"},
		"in many chunks":          {post + chunks + chunk(ghost[:9]) + chunk(ghost[9:]) + end, "[200]"},
		"too much in chunks":      {post + chunks + chunk(strings.Repeat(" ", maxReceive+1)) + end, "[413]"},
		"in chunks that are none": {post + chunks + "zz\r\n", "[400]"},
		"none, in chunks":         {cancel + chunks + end, "[200]"},
		"half of it":              {post + size(len(ghost)+1) + "\r\n" + ghost, "[400]"},
		"half of the chunks":      {post + chunks + chunk(ghost), "[400]"},
		"when it is asked for":    {post + size(len(ghost)) + ask + ghost, "[100 200]"},
		"never asked for":         {"POST /v1/none" + head + size(9) + ask, "[404]"},
		"as HTTP/1.0":             {strings.Replace(post, "1.1", "1.0", 1) + sized, "[200]"},
		"of two sizes":            {post + size(3) + size(4) + "\r\n{}  ", "[400]"},
		"before another request":  {post + sized + "GET /v1/orders" + head + "\r\n", "[200 200]"},
	} {
		t.Run(name, func(t *testing.T) {
			stops := strings.HasPrefix(name, "half")
			if got := fmt.Sprint(d.exchange(t, test.sent, len(strings.Fields(test.want)), stops)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	const want = 6 // the first one, in chunks, in many, when it is asked for, as HTTP/1.0, before another request
	if n := d.count(t, `SELECT count(*) FROM orders`); n != want {
		t.Errorf("got %d orders, want %d", n, want)
	}
}

// exchange sends bytes over a connection of their own, and returns the codes of so many answers. Who stops sends no
// more, and says so.
func (d *doored) exchange(t *testing.T, sent string, answers int, stops bool) (codes []int) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(longWait)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(conn, sent) // whoever has read enough reads no more
		if stops {
			_ = conn.(*net.TCPConn).CloseWrite() // it may be closed already
		}
	}()
	replies := bufio.NewReader(conn)
	for range answers {
		reply, err := http.ReadResponse(replies, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, reply.Body); err != nil {
			t.Fatal(err)
		}
		codes = append(codes, reply.StatusCode)
	}
	return codes
}
