package main

import (
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"hosho/internal/slow"
)

// A system whose daemons have certificates: whatever up suggests is done by somebody who may, in a shell that has its
// environment and in no other. A daemon that is started by hand has its certificate again.
func TestUpWithCertificates(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes")
	cmd, tmp := sagactl(t, "up", "--free-ports", "--tls")
	ready := newWatcher("\nready\n")
	cmd.Stdout = ready
	exited := begin(t, cmd, ready)
	u := upSystem{text: ready.text(), more: []string{"SAGACTL_TLS_CERT=/nowhere", "SAGACTL_ORDERD_IDENTITY=nobody"}}
	suggested := suggestions(u.text)
	for _, line := range suggested {
		if strings.HasPrefix(line, ". ") {
			u.env = line
		}
	}
	for _, line := range suggested {
		if strings.HasPrefix(line, "grpcurl ") {
			u.testGrpcurl(t, line)
		} else if strings.HasPrefix(line, "curl ") {
			u.runCurl(t, "curl --cert ")
		} else if got, code := u.shell(t, line); code != 0 {
			t.Errorf("%s: got %d and\n%s\nwant 0", line, code, got)
		}
	}
	for _, tt := range []struct {
		script string
		code   int
		want   string
	}{
		{`sagactl order create 5 2>&1`, 2, "hosho.test/operator may not call order.v1.OrderService/CreateOrder"},
		{
			`curl -sS --cacert $SAGACTL_TLS_CA --cert $SAGACTL_TLS_CERT --key $SAGACTL_TLS_KEY \
				https://$ORDERD_HTTP/v1/orders -X POST --json '{"customer_id": "ada"}'`,
			0, "hosho.test/operator may not call order.v1.OrderService/CreateOrder",
		},
		{
			`id=$(order 700 --wait); curl -sN "${CONSOLE%%\?*}events" | grep -m 1 -o "orders/$id" | head -1 |
				sed "s/$id/it/"`,
			0, "orders/it",
		},
		{`curl -sS --cacert $SAGACTL_TLS_CA https://$ORDERD_HTTP/ || echo nobody is let in`, 0, "nobody is let in"},
		{`unset ${!SAGACTL_*}; sagactl orders 2>&1`, 2, "there is no orderd at"},
		{`for daemon in orderd paymentd relay; do $daemon healthcheck; done | grep -c '^SERVING$'`, 0, "3"},
		{
			`kill -9 $(pgrep -f "^$DATA/bin/paymentd serve"); until ! sagactl status >out; do :; done
			trap 'kill $(jobs -p); wait' EXIT; paymentd serve 2>>paymentd.log &
			sagactl watch $(order 9996) | tail -1 | cut -c53-; until sagactl status >out; do :; done`,
			0, "CANCELLED (PAYMENT_DECLINED)  9996 JPY of ada",
		},
	} {
		if got, code := u.shell(t, tt.script); code != tt.code || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %d and\n%s\nwant %d and %q", tt.script, code, got, tt.code, tt.want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Errorf("got %v after SIGTERM, want exit code 0", err)
	}
	leavesNothing(t, tmp)
}

// suggestions are the commands in what up has printed, each in one line.
func suggestions(text string) (all []string) {
	_, text, _ = strings.Cut(text, "# In another terminal")
	for line := range strings.Lines(strings.ReplaceAll(text, ",\n", ",")) {
		if line = strings.TrimSpace(line); line != "" && line != "ready" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all[1:] // the rest of the first comment
}

var grpcurlLine = regexp.MustCompile(
	`^grpcurl -cert (\S+/shop/tls.crt) -key (\S+/shop/tls.key) -cacert (\S+/shop/ca.crt) -d '.*' (\S+) order\.v1`)

// testGrpcurl runs the line where there is a grpcurl; what it says is looked at everywhere.
func (u upSystem) testGrpcurl(t *testing.T, line string) {
	t.Helper()
	parts := grpcurlLine.FindStringSubmatch(line)
	if parts == nil || !strings.Contains(u.text, "ORDERD="+parts[4]+"\n") {
		t.Errorf("got %q, want the shop's certificate, and the address of orderd", line)
		return
	}
	given, code := u.shell(t, `SAGACTL_TLS_CERT=`+parts[1]+` SAGACTL_TLS_KEY=`+parts[2]+` SAGACTL_TLS_CA=`+parts[3]+
		` sagactl order create 1200 --orderd `+parts[4])
	if code != 0 {
		t.Errorf("%s: got %d and\n%s\nwant an order with the same files", line, code, given)
	}
	if _, err := exec.LookPath("grpcurl"); err != nil {
		return
	}
	if got, code := u.shell(t, line); code != 0 || !strings.Contains(got, "STATUS_PENDING") {
		t.Errorf("%s: got %d and\n%s\nwant an order", line, code, got)
	}
}
