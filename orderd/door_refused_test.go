package main

import (
	"net/http"
	"strings"
	"testing"

	orderv1 "hosho/gen/order/v1"
)

// Whatever is no call is refused, and says why, in the form of any other error.
func TestWhatIsNoCallIsRefused(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	id := d.order(t, ghost).GetOrderId()
	t.Run("all", func(t *testing.T) {
		for name, test := range noCalls(id) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := d.send(t, test.method, test.path, test.body, test.headers...)
				reason := "MALFORMED_REQUEST"
				switch {
				case strings.Contains(a.body, "INVALID_FIELDS"): // it was a call
					reason = "INVALID_FIELDS"
				case strings.Contains(test.says, "no such order"):
					reason = "ORDER_NOT_FOUND"
				}
				wantStatus(t, a, test.code, reason, test.says)
				if test.code == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
					t.Error("got no Allow")
				}
			})
		}
	})
	var list orderv1.ListOrdersResponse
	d.send(t, "GET", "/v1/orders", "").into(t, &list)
	if len(list.GetOrders()) != 1 || list.GetOrders()[0].GetStatus() != orderv1.Order_STATUS_PENDING {
		t.Errorf("got %v afterwards, want the first order, PENDING", list.GetOrders())
	}
}

type noCall struct {
	method, path, body string
	headers            []string
	code               int
	says               string
}

func noCalls(id string) map[string]noCall {
	const bad, all, key = http.StatusBadRequest, "/v1/orders", "Idempotency-Key: "
	one, cancel := all+"/"+id, all+"/"+id+":cancel"
	with := func(field string) string { return strings.Replace(ghost, "{", "{"+field+", ", 1) }
	priced := func(price string) string { return strings.Replace(ghost, "9999", price, 1) }
	long := strings.Repeat("x", 64<<10)
	as := func(kind string) []string { return []string{"Content-Type: ", "Content-Type: " + kind} }
	return map[string]noCall{
		"a path that is none":      {"GET", "/orders", "", nil, 404, `there is no "/orders"`},
		"a slash too many":         {"POST", "/v1/orders/", ghost, nil, 404, `there is no "/v1/orders/"`},
		"two slashes":              {"POST", "/v1//orders", ghost, nil, 404, "there is no"},
		"dots":                     {"POST", "/v1/x/../orders", ghost, nil, 404, "there is no"},
		"a page that is written":   {"POST", "/", ghost, nil, 405, "/ takes GET and HEAD"},
		"an unknown verb":          {"POST", one + ":refund", "", nil, 404, "there is no"},
		"a method that is none":    {"PUT", all, ghost, nil, 405, "takes POST and GET"},
		"DELETE":                   {"DELETE", one, "", nil, 405, "takes GET"},
		"GET that cancels":         {"GET", cancel, "", nil, 405, "takes POST"},
		"HEAD":                     {"OPTIONS", one, "", nil, 405, "takes GET"},
		"no body":                  {"POST", all, "", nil, bad, "customer_id"},
		"no JSON":                  {"POST", all, "hello", nil, bad, "the body: syntax error"},
		"half of it":               {"POST", all, ghost[:40], nil, bad, "the body: unexpected EOF"},
		"more than it":             {"POST", all, ghost + ghost, nil, bad, "the body: syntax error"},
		"a list":                   {"POST", all, "[" + ghost + "]", nil, bad, "the body: syntax error"},
		"null":                     {"POST", all, "null", nil, bad, "the body: "},
		"a field twice":            {"POST", all, with(`"customer_id": "bob"`), nil, bad, "duplicate field"},
		"a field by both names":    {"POST", all, with(`"customerId": "bob"`), nil, bad, "duplicate field"},
		"an unknown field":         {"POST", all, with(`"item_name": "x"`), nil, bad, "unknown field"},
		"a fraction":               {"POST", all, priced("9999.5"), nil, bad, "int64"},
		"no int64":                 {"POST", all, priced("9223372036854775808"), nil, bad, "int64"},
		"a word for a number":      {"POST", all, priced(`"x"`), nil, bad, "int64"},
		"a wait that is no time":   {"POST", all, with(`"wait": 8`), nil, bad, "unexpected token 8"},
		"bytes that are not UTF-8": {"POST", all, strings.Replace(ghost, "Ghost", "\xff", 1), nil, bad, "UTF-8"},
		"too large":                {"POST", all, with(`"x": "` + long + `"`), nil, 413, "65536 bytes"},
		"as a form":                {"POST", all, ghost, as("application/x-www-form-urlencoded"), 415, "want"},
		"as text":                  {"POST", all, ghost, as("text/plain"), 415, "application/json"},
		"as nothing":               {"POST", all, ghost, as(""), 415, `got the Content-Type ""`},
		"in another charset":       {"POST", all, ghost, as("application/json; charset=utf-16"), 415, "utf-16"},
		"compressed":               {"POST", all, ghost, []string{"Content-Encoding: gzip"}, 415, "Content-Encoding"},
		"two keys":                 {"POST", all, ghost, []string{key + "a", key + "b"}, bad, "2 times"},
		"a key and another id":     {"POST", all, with(`"request_id": "b"`), []string{key + "a"}, bad, `id "b"`},
		"an empty key":             {"POST", all, ghost, []string{key + `""`}, bad, "request_id"},
		"two waits":                {"POST", all + "?wait=1s&wait=1s", ghost, nil, bad, "2 times"},
		"a wait and another":       {"POST", all + "?wait=1s", with(`"wait": "2s"`), nil, bad, "1s in the query"},
		"a wait of no unit":        {"POST", all + "?wait=8", ghost, nil, bad, "want seconds, like 8s"},
		"a wait that is quoted":    {"POST", all + `?wait=%228s%22`, ghost, nil, bad, "want seconds"},
		"a wait that is too long":  {"POST", all + "?wait=10s", ghost, nil, bad, "wait"},
		"another parameter":        {"POST", all + "?customer_id=bob", ghost, nil, bad, "want wait"},
		"a parameter unknown":      {"GET", all + "?customer=alice", "", nil, bad, `"customer"`},
		"a parameter twice":        {"GET", all + "?page_size=1&page_size=2", "", nil, bad, "2 times"},
		"a parameter, both names":  {"GET", all + "?page_size=1&pageSize=2", "", nil, bad, "page_size 2 times"},
		"a parameter of no UTF-8":  {"GET", all + "?customer_id=%ff", "", nil, bad, "customer_id: got"},
		"a wait of no UTF-8":       {"POST", all + "?wait=%ff", ghost, nil, bad, "the query parameter wait"},
		"an id of no UTF-8":        {"GET", all + "/%ff", "", nil, bad, "the path: got"},
		"a verb of no UTF-8":       {"GET", one + ":%ff", "", nil, 404, "there is no"},
		"a key of no UTF-8":        {"POST", all, ghost, []string{key + "\xff"}, bad, "want UTF-8"},
		"a long parameter":         {"GET", all + "?" + long[:9000], "", nil, bad, "x..."},
		"a long field":             {"POST", all, with(`"` + long[:9000] + `": 1`), nil, bad, "more bytes"},
		"a status in lower case":   {"GET", all + "?status=pending", "", nil, bad, "want STATUS_PENDING"},
		"a size with a power":      {"GET", all + "?page_size=1e1", "", nil, bad, "page_size"},
		"a customer left empty":    {"GET", all + "?customer_id=", "", nil, bad, "customer_id without a value"},
		"a key by another name":    {"POST", all, ghost, []string{"X-" + key + "a"}, bad, "want Idempotency-Key"},
		"a size that is none":      {"GET", all + "?page_size=x", "", nil, bad, "page_size"},
		"a status that is none":    {"GET", all + "?status=DONE", "", nil, bad, "status"},
		"a query that is none":     {"GET", all + "?a=%zz", "", nil, bad, "the query"},
		"a field of a field":       {"GET", all + "?order.id=1", "", nil, bad, `"order.id"`},
		"an id twice":              {"GET", one + "?order_id=x", "", nil, bad, `"order_id"`},
		"a body with GET":          {"GET", one, "{}", nil, bad, "takes none"},
		"a body with cancel":       {"POST", cancel, `{"order_id": "x"}`, nil, bad, "takes none"},
		"an id that is none":       {"GET", "/v1/orders/1", "", nil, bad, "order_id"},
		"another customer":         {"POST", cancel + "?customer_id=bob", "", nil, 404, "there is no such order"},
	}
}
