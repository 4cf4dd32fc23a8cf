package main

import (
	"strings"
	"testing"
)

// The line for curl is run as it was printed.
func (u upSystem) testCurl(t *testing.T) {
	u.runCurl(t, "curl --json ")
	got, code := u.shell(t, `curl -s $ORDERD_HTTP/v1/orders/x`)
	if code != 0 || !strings.Contains(got, "INVALID_FIELDS") {
		t.Errorf("got %d and\n%s\nwant an answer at $ORDERD_HTTP", code, got)
	}
}

// runCurl runs the one suggestion that begins with a text: it places an order, and is answered when that is settled.
func (u upSystem) runCurl(t *testing.T, begins string) {
	t.Helper()
	var lines []string
	for _, line := range suggestions(u.text) {
		if strings.HasPrefix(line, begins) {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 {
		t.Fatalf("got the lines %q, want one that begins with %q", lines, begins)
	}
	if got, code := u.shell(t, lines[0]); code != 0 || !strings.Contains(got, "STATUS_COMPLETED") {
		t.Errorf("%s: got %d and\n%s\nwant an order that is COMPLETED", lines[0], code, got)
	}
}

// Whoever follows an order with curl sees what it is at once, and then how it ends: paymentd hangs on this one for as
// long as nobody gives it up.
func (u upSystem) testCurlFollows(t *testing.T) {
	id, code := u.shell(t, `order 9997`)
	if code != 0 {
		t.Fatalf("order: got %d", code)
	}
	follow := u.command(t, "exec curl -sN $ORDERD_HTTP/v1/orders/"+id+":watch")
	seen := newWatcher(`"status":"STATUS_PENDING"`)
	follow.Stdout = seen
	exited := begin(t, follow, seen)
	if got, code := u.shell(t, "curl -s -X POST $ORDERD_HTTP/v1/orders/"+id+":cancel"); code != 0 ||
		!strings.Contains(got, `"cancelReason":"CANCEL_REASON_CUSTOMER"`) {
		t.Errorf("cancel: got %d and\n%s\nwant the order", code, got)
	}
	err := <-exited
	lines := strings.Split(strings.TrimSpace(seen.text()), "\n")
	if err != nil || !strings.Contains(lines[len(lines)-1], `"status":"STATUS_CANCELLED"`) {
		t.Errorf("got %v after\n%s\nwant it to end with CANCELLED", err, seen.text())
	}
}
