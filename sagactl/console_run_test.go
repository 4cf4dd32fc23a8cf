package main

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What the console cannot have is said before it shows anything.
func TestAConsoleThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct{ args, want string }{
		{"--listen localhost", `--listen (SAGACTL_CONSOLE_LISTEN): got "localhost", want host:port`},
		{"--listen " + taken.Addr().String(), "the address " + taken.Addr().String() + " is taken"},
		{"--listen :0", "is off loopback"},
		{"--listen :0 --read-only", "want --read-only, and --allow-host"},
		{"--listen :0 --allow-host board.example", "want --read-only, and --allow-host"},
		{"--listen 127.0.0.1:0 --relay relay", `--relay (RELAY): got "relay", want host:port`},
	} {
		cmd, _ := sagactl(t, append([]string{"console"}, strings.Fields(tt.args)...)...)
		if output, err := cmd.CombinedOutput(); codeOf(err) != 2 || !strings.Contains(string(output), tt.want) {
			t.Errorf("%s: got %v\n%s\nwant exit code 2, and %q", tt.args, err, output, tt.want)
		}
	}
}

// Nobody is there whom it could show. It is there all the same, shows just that, and ends with Ctrl-C.
func TestAConsoleShowsThatNobodyIsThere(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", "--read-only"} {
		cmd, _ := sagactl(t, append([]string{
			"console", "--listen", "127.0.0.1:0",
			"--orderd", "127.0.0.1:1", "--paymentd", "127.0.0.1:1", "--relay", "127.0.0.1:1",
		}, strings.Fields(more)...)...)
		there := newWatcher("\n")
		cmd.Stdout = there
		exited := begin(t, cmd, there)
		url, ok := strings.CutPrefix(strings.TrimSpace(there.text()), "CONSOLE=")
		if !ok || strings.Contains(url, "token=") != (more == "") {
			t.Errorf("%s: got %q, want where it is, with a token unless it is read-only", more, there.text())
		}
		page, err := exec.CommandContext(t.Context(), "curl", "-s", "-L", "-b", "", url).CombinedOutput()
		if got := strings.Contains(string(page), `action="/anew"`); err != nil || got != (more == "") {
			t.Errorf("%s: got %v\n%s\nwant forms for somebody with the token alone", more, err, page)
		}
		if !strings.Contains(string(page), "orderd at 127.0.0.1:1 is gone.") {
			t.Errorf("%s: got\n%s\nwant it to say who is not there", more, page)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := <-exited; err != nil {
			t.Errorf("%s: got %v after an interrupt, want exit code 0", more, err)
		}
	}
}

// The console of up is there without a command of its own: an order that is placed is seen, and what became of it.
func (u upSystem) testConsole(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{`curl -sL -b "" "$CONSOLE" | grep -o 'You may act'`, "You may act"},
		{`curl -sL "${CONSOLE%%\?*}" | grep -o 'You may look'`, "You may look"},
		{`curl -s -o page -w '%{http_code}' "${CONSOLE%%\?*}?token=another"`, "403"},
		{
			`id=$(order 600 --wait); curl -sN "${CONSOLE%%\?*}events" | grep -m 1 -o "orders/$id" | head -1 |
				sed "s/$id/it/"`,
			"orders/it",
		},
		{`curl -sL -b "" -d amount=9996 "${CONSOLE%%\?*}stage/order" -o page -w '%{http_code}'`, "403"},
		{
			`curl -s -c jar -o page "$CONSOLE"
			curl -sL -b jar -d amount=600 "${CONSOLE%%\?*}stage/order" | grep -o 'Placed in both worlds' | head -1`,
			"Placed in both worlds",
		},
		{`sagactl console --listen 127.0.0.1:0 --orderd 127.0.0.1:1 >at & until grep -q CONSOLE at; do :; done
			kill $!; grep -c token= at`, "1"},
	} {
		if got, code := u.shell(t, tt.script); code != 0 || got != tt.want {
			t.Errorf("%s: got %d and\n%s\nwant %q", tt.script, code, got, tt.want)
		}
	}
}
