package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hosho/internal/slow"
)

// elsewhere is what a person's shell may say to other programs, each of which would lead a system elsewhere, hide what
// it logs, or keep it from starting.
var elsewhere = []string{
	"PGSERVICE=elsewhere", "PGSERVICEFILE=/nowhere", "PGHOST=192.0.2.1", "PGPORT=1", "PGDATABASE=elsewhere",
	"PGUSER=eve",
	"PGOPTIONS=-c search_path=elsewhere -c default_transaction_read_only=on", "PGSSLMODE=verify-full",
	"PGSSLROOTCERT=/nowhere", "PGSSLCERT=/nowhere", "PGTARGETSESSIONATTRS=standby", "PGCLIENTENCODING=SJIS",
	"PGDATA=/nowhere", "PGTZ=Asia/Tokyo", "PGREQUIREAUTH=scram-sha-256", "PGCONNECT_TIMEOUT=0",
	"ORDERS_DATABASE_URL=postgres://192.0.2.1/elsewhere", "PAYMENTS_DATABASE_URL_FILE=/nowhere",
	"ORDERD_DATABASE_URL_FILE=/nowhere", "ORDERD_LISTEN=", "ORDERD_LOG_LEVEL=error", "ORDERD_ORDER_DEADLINE=100ms",
	"PAYMENTD_LOG_LEVEL=error", "PAYMENTD_LOG_FORMAT=text", "PAYMENTD_ADMIN_LISTEN=http://localhost",
	"RELAY_LOG_LEVEL=error", "RELAY_LEASE=1ns", "RELAY_MAX_ATTEMPTS=1", "RELAY_PAYMENT_TARGET=",
	"ORDERD=", "PAYMENTD=http://localhost", "RELAY=elsewhere",
	"HTTPS_PROXY=http://127.0.0.1:1", "https_proxy=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY=",
	"LC_ALL=ja_JP.SJIS", "LANG=tr_TR.UTF-8",
}

func TestAPersonsShellLeadsNoSystemElsewhere(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	for verb, check := range map[string]func(*testing.T){"demo": demoElsewhere, "up": upElsewhere} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			check(t)
		})
	}
}

// demoElsewhere plays the demo, which is told by what the daemons log.
func demoElsewhere(t *testing.T) {
	slow.Long(t, "runs the whole system once more")
	cmd, tmp := sagactl(t, "demo")
	cmd.Env = append(cmd.Env, elsewhere...)
	output, err := cmd.CombinedOutput()
	for _, want := range []string{"CHARGE -> REPLY_LOST", "nothing is left over"} {
		if err != nil || !strings.Contains(string(output), want) {
			t.Errorf("got %v\n%s\nwant exit code 0, and %q", err, output, want)
		}
	}
	leavesNothing(t, tmp)
}

// upElsewhere has a system run in a folder with an odd name, and uses it in a shell that says the same.
func upElsewhere(t *testing.T) {
	cmd, tmp := sagactl(t, "up", "--free-ports")
	odd := filepath.Join(tmp, "it's [1")
	if err := os.Mkdir(odd, 0o1777); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(append(cmd.Env, "TMPDIR="+odd), elsewhere...)
	ready := newWatcher("\nready\n")
	cmd.Stdout = ready
	exited := begin(t, cmd, ready)
	u := upSystem{text: ready.text(), more: elsewhere}
	for line := range strings.Lines(u.text) {
		if strings.HasPrefix(line, ". ") {
			u.env = strings.TrimSpace(line)
		}
	}
	for _, tt := range []struct{ script, want string }{
		{`sagactl order create 1200 --wait | tail -1`, "1200 JPY of ada"},
		{`sagactl reconcile | tail -1`, "The two databases agree."},
		{`timeout 20 orderd migrate`, "orders is up to date"},
		{`orderd healthcheck`, "SERVING"},
		{`env | grep -c '^PG' || true`, "0"},
	} {
		if got, code := u.shell(t, tt.script); code != 0 || !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s: got %d and\n%s\nwant 0 and %q", tt.script, code, got, tt.want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil { // the terminal is closed
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Errorf("got %v after SIGHUP, want exit code 0", err)
	}
	leavesNothing(t, odd)
}
