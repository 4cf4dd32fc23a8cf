package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"hosho/internal/slow"
)

// A person presses buttons on the stage of a system with certificates: an order is paid in both worlds. The system ends
// while paymentd is frozen and the twin has an order under way, in order all the same.
func TestUpEndsInTheMidstOfAFault(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes")
	cmd, tmp := sagactl(t, "up", "--free-ports", "--tls")
	ready := newWatcher("\nready\n")
	cmd.Stdout = ready
	exited := begin(t, cmd, ready)
	_, printed, _ := strings.Cut(ready.text(), "CONSOLE=")
	address, _, _ := strings.Cut(printed, "\n")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: awaitTimeout}
	visit(t, client, address, nil)
	at, _, _ := strings.Cut(address, "/?")
	visit(t, client, at+"/stage/order", url.Values{"amount": {"600"}})
	const paid = `COMPLETED</th><td>1</td>`
	for strings.Count(visit(t, client, at+"/stage", nil), paid) < 2 {
		select {
		case <-t.Context().Done():
			t.Fatal("the order was not paid in both worlds")
		case <-time.After(10 * time.Millisecond):
		}
	}
	visit(t, client, at+"/stage/break", url.Values{"fault": {"freeze-paymentd"}})
	visit(t, client, at+"/stage/order", url.Values{"amount": {"9997"}})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Errorf("got %v after SIGTERM, want exit code 0", err)
	}
	leavesNothing(t, tmp)
}

// visit gets a page, or sends a form and gets the page that this leads to.
func visit(t *testing.T, client *http.Client, address string, form url.Values) string {
	t.Helper()
	send := func() (*http.Response, error) { return client.Get(address) }
	if form != nil {
		send = func() (*http.Response, error) { return client.PostForm(address, form) }
	}
	response, err := send()
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %v: got %s\n%s", address, form, response.Status, body)
	}
	return string(body)
}
