package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hosho/internal/slow"
)

// One system of up, as a person has it: where it is, orders in a shell of its own, what it looks like while all is well
// and while it is not, daemons that are started again by hand, and its end on SIGTERM.
func TestUp(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	cmd, tmp := sagactl(t, "up", "--free-ports")
	ready := newWatcher("\nready\n")
	cmd.Stdout = ready
	exited := begin(t, cmd, ready)
	u := upSystem{text: ready.text()}
	for line := range strings.Lines(u.text) {
		if strings.HasPrefix(line, ". ") {
			u.env = strings.TrimSpace(line)
		}
	}
	for _, name := range []string{
		"ORDERD", "ORDERD_HTTP", "PAYMENTD", "RELAY", "ORDERS_DATABASE_URL", "PAYMENTS_DATABASE_URL", "DATA",
		"CONSOLE",
	} {
		if !strings.Contains("\n"+u.text, "\n"+name+"=") {
			t.Errorf("got\n%s\nwant a line %s=", u.text, name)
		}
	}
	t.Run("orders as JSON", u.testCurl)
	t.Run("orders", u.testOrders)
	t.Run("an order that is not accepted", u.testRefusals)
	t.Run("lists", u.testLists)
	t.Run("following all", u.testFollowing)
	t.Run("following all as JSON", u.testFollowingAsJSON)
	t.Run("following an order with curl", u.testCurlFollows)
	t.Run("status", u.testStatus)
	t.Run("console", u.testConsole)
	t.Run("a daemon that is started by hand is the same one", u.testByHand)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Errorf("got %v after SIGTERM, want exit code 0", err)
	}
	leavesNothing(t, tmp)
}

// upSystem is a system of up.
type upSystem struct {
	env  string   // the line that sources its environment
	text string   // what up printed
	more []string // variables of its shell
}

// shell runs a script after the environment was sourced. It returns what it printed on standard output, and its code.
func (u upSystem) shell(t *testing.T, script string) (string, int) {
	t.Helper()
	cmd := u.command(t, script)
	var failed strings.Builder
	cmd.Stderr = &failed
	output, err := cmd.Output()
	if failed.Len() > 0 {
		t.Logf("%s: %s", script, failed.String())
	}
	return strings.TrimSpace(string(output)), codeOf(err)
}

func (u upSystem) command(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", u.env+"; "+script)
	cmd.Dir = t.TempDir() // wherever it is
	cmd.Env = append(os.Environ(), u.more...)
	return cmd
}

func (u upSystem) testOrders(t *testing.T) {
	id, code := u.shell(t, `order 1200`)
	if code != 0 || uuid.Validate(id) != nil {
		t.Fatalf("order: got %q, %d; want an id", id, code)
	}
	tests := []struct {
		script string
		code   int
		want   string // the end of the output
	}{
		{`sagactl watch ` + id, 0, "  1200 JPY of ada"},
		{`sagactl order get ` + id + ` | grep -c "^STATUS    COMPLETED$"`, 0, "1"},
		{`sagactl order create 700 --wait --customer bob | grep -c "COMPLETED.*700 JPY of bob"`, 0, "1"},
		{`sagactl order create 9998 --wait --quiet`, 0, ""},
		{`sagactl order create 9996 --wait --quiet`, 1, ""},
		{`sagactl order create 9999 --wait --json | tail -1 | grep -o PAYMENT_FAILED`, 0, "PAYMENT_FAILED"},
		{`sagactl order cancel ` + id + ` --wait | tail -1`, 0, "CANCELLED (CUSTOMER)          1200 JPY of ada"},
		{`sagactl order cancel ` + id + ` --wait`, 0, "CANCELLED (CUSTOMER), 1200 JPY of ada"},
		{`sagactl order get ` + id + ` --json | grep -o CANCEL_REASON_CUSTOMER`, 0, "CANCEL_REASON_CUSTOMER"},
		{`sagactl explain ` + id + ` | grep -c REFUNDED,`, 0, "1"},
		{`a=$(order 5 --request-id one); b=$(order 5 --request-id one); [ $a = $b ] && echo same`, 0, "same"},
	}
	for _, tt := range tests {
		if got, code := u.shell(t, tt.script); code != tt.code || !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s: got %d and\n%s\nwant %d and %q", tt.script, code, got, tt.code, tt.want)
		}
	}
}

// Exit codes tell what differs from what could not be done.
func (u upSystem) testRefusals(t *testing.T) {
	const unknown = "01a21400-f55e-7a8b-a0f9-a4700a1a2e37"
	tests := []struct {
		script string
		code   int
		want   string
	}{
		{`sagactl order create 6 --request-id one`, 1, "AlreadyExists"},
		{`sagactl order get ` + unknown, 1, "there is no such order"},
		{`sagactl watch ` + unknown, 1, "there is no such order"},
		{`sagactl explain ` + unknown, 1, "nobody knows an order"},
		{`sagactl retry ` + unknown, 1, "the outbox holds no such command"},
		{`sagactl order create 5 --currency yen`, 2, `got "yen", want three capital letters`},
		{`sagactl order get 7`, 2, "want a UUID"},
		{`sagactl orders --orderd 127.0.0.1:1`, 2, `there is no orderd at 127.0.0.1:1 (connection refused): `},
		{`sagactl orders --orderd $PAYMENTD`, 2, "is another service than orderd"},
		{`ORDERS_DATABASE_URL=$PAYMENTS_DATABASE_URL sagactl reconcile`, 2, "is each URL that of its database"},
	}
	for _, tt := range tests {
		got, code := u.shell(t, tt.script+" 2>&1")
		if code != tt.code || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %d and\n%s\nwant %d and %q", tt.script, code, got, tt.code, tt.want)
		}
	}
}

func (u upSystem) testLists(t *testing.T) {
	tests := []struct{ script, want string }{
		{`sagactl orders --customer bob | tail -1 | cut -c39-50`, "COMPLETED"},
		{`sagactl orders --customer nobody`, "no orders"},
		{`sagactl orders --status CANCELLED --json | grep -c STATUS_CANCELLED`, "3"},
		{`sagactl orders --status pending`, "no orders"},
		{`sagactl orders --since 1h --limit 0 --json | wc -l`, "7"},
		{`sagactl orders --since 1us`, "no orders"},
		{`sagactl orders --limit 2 | wc -l`, "4"}, // with what the columns are, and that there are more
		{`sagactl parked`, "nothing is parked or stuck"},
		{`sagactl reconcile | tail -1`, "The two databases agree."},
	}
	for _, tt := range tests {
		if got, code := u.shell(t, tt.script); code != 0 || strings.TrimSpace(got) != tt.want {
			t.Errorf("%s: got %d and\n%s\nwant %q", tt.script, code, got, tt.want)
		}
	}
}

// Whoever follows all orders sees one that is placed meanwhile, and how it ends, and stops with Ctrl-C. One of two
// relays is not there, which is said.
func (u upSystem) testFollowing(t *testing.T) {
	follow := u.command(t, "RELAY=$RELAY,127.0.0.1:1 exec sagactl watch")
	seen := newWatcher("COMPLETED                     8086 JPY  payment charged")
	said := newWatcher("sagactl: there is no relay at 127.0.0.1:1 (connection refused)")
	follow.Stdout, follow.Stderr = seen, said
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- follow.Wait() }()
	if _, code := u.shell(t, `order 8086 --customer eve`); code != 0 {
		t.Fatalf("order: got %d", code)
	}
	seen.await(t, exited)
	said.await(t, exited)
	interrupt(t, follow, exited)
	if !strings.Contains(seen.text(), "PENDING                       8086 JPY  accepted\n") {
		t.Errorf("got\n%s\nwant the order told when it was accepted, too", seen.text())
	}
}

// As JSON each change has what an order has, but for its customer and its items, and what has happened.
func (u upSystem) testFollowingAsJSON(t *testing.T) {
	id, code := u.shell(t, `order 9996 --customer eve`)
	if code != 0 {
		t.Fatalf("order: got %d", code)
	}
	id = strings.TrimSpace(id)
	follow := u.command(t, "exec sagactl watch --json")
	seen := newWatcher(`"orderId":"` + id + `","status":"STATUS_CANCELLED"`)
	follow.Stdout = seen
	interrupt(t, follow, begin(t, follow, seen))
	before, after, _ := strings.Cut(seen.text(), seen.want)
	line := before[strings.LastIndexByte(before, '\n')+1:] + seen.want + after[:strings.IndexByte(after, '\n')]
	var got map[string]any
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "updateTime")
	want := map[string]any{
		"orderId": id, "total": map[string]any{"amountMinor": "9996", "currencyCode": "JPY"},
		"status": "STATUS_CANCELLED", "cancelReason": "CANCEL_REASON_PAYMENT_DECLINED", "cause": "payment declined",
		"daemon": "relay",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (u upSystem) testStatus(t *testing.T) {
	got, code := u.shell(t, `sagactl status`)
	for _, want := range []string{"orderd ", "paymentd ", "relay ", "CHARGE ", "VOID ", "nothing needs a person"} {
		if code != 0 || !strings.Contains(got, want) {
			t.Errorf("status: got %d and\n%s\nwant 0 and %q", code, got, want)
		}
	}
	// One of two relays is not there.
	got, code = u.shell(t, `RELAY=$RELAY,127.0.0.1:1 sagactl status --json`)
	var state systemState
	if err := json.Unmarshal([]byte(got), &state); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	relays := state.Daemons[2:]
	if code != 1 || state.OK || len(relays) != 2 || !relays[0].Ready || relays[1].Ready {
		t.Errorf("without a relay: got %d, %+v; want 1, and the second not ready", code, state)
	}
	if relays[0].Version == "" || relays[0].Process == "" || relays[1].Why != "cannot be reached: connection refused" {
		t.Errorf("got %+v; want the first with its version and process, and why the second is not ready", relays)
	}
	if len(state.Backlog) != 2 || state.Backlog[0].Kind != "CHARGE" || state.Backlog[1].Kind != "VOID" {
		t.Errorf("got the backlog %+v, want that of CHARGE and VOID", state.Backlog)
	}
	// In a pipe one page follows the other.
	follow := u.command(t, "exec sagactl status --watch")
	seen := newWatcher("\n\nDAEMON ")
	follow.Stdout = seen
	interrupt(t, follow, begin(t, follow, seen))
	if strings.Contains(seen.text(), "\x1b") {
		t.Errorf("got escape sequences in a pipe: %q", seen.text())
	}
}

// Each daemon is killed, and started again from the shell: it is found at its address, and paymentd still declines a
// 9996. An order that is placed while there is no orderd waits for it.
func (u upSystem) testByHand(t *testing.T) {
	got, code := u.shell(t, `
		trap 'kill $(jobs -p); wait' EXIT
		for daemon in relay paymentd orderd; do
			kill -9 $(pgrep -f "^$DATA/bin/$daemon serve")
		done
		sagactl status >status; echo "status: $?, $(grep -c 'NOT READY' status) not ready"
		order 9996 >placed 2>said & placing=$!
		until grep -q 'trying again' said; do :; done
		for daemon in orderd paymentd relay; do
			$daemon serve 2>>$daemon.log &
		done
		wait $placing
		sagactl watch $(cat placed) | tail -1 | cut -c53-
		until sagactl status >status; do :; done
		echo "status: $?"
		curl -s $ORDERD_HTTP/v1/orders/$(cat placed) | grep -o PAYMENT_DECLINED
		cat *.log | grep 'unknown variable' || echo 'each variable is known'`)
	const want = "status: 1, 3 not ready\nCANCELLED (PAYMENT_DECLINED)  9996 JPY of ada\nstatus: 0\n" +
		"PAYMENT_DECLINED\neach variable is known"
	if got != want || code != 0 {
		t.Errorf("got %d and\n%s\nwant 0 and\n%s", code, got, want)
	}
}

// begin starts a command, and waits until it has printed what its watcher wants.
func begin(t *testing.T, cmd *exec.Cmd, wanted *watcher) <-chan error {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	wanted.await(t, exited)
	return exited
}

// interrupt ends a command as Ctrl-C does.
func interrupt(t *testing.T, cmd *exec.Cmd, exited <-chan error) {
	t.Helper()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; codeOf(err) != 130 {
		t.Errorf("%v: got %v after an interrupt, want exit code 130", cmd.Args, err)
	}
}
