package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What cannot be meant is refused before anybody is asked, with what was got and wanted.
func TestWhatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	const anAmount = "want 1 to 99999999999, in the currency's minor unit"
	tests := []struct{ args, want string }{
		{"order create", `expected "<amount>"`},
		{"order create 0", `<amount>: got "0", ` + anAmount},
		{"order create 12.50", `<amount>: got "12.50", ` + anAmount},
		{"order create 100000000000", `<amount>: got "100000000000", ` + anAmount},
		{"order create -5", "got -5, and nothing here takes a negative number"},
		{"orders --limit -1", "got -1, and nothing here takes a negative number"},
		{"orders --limit=-1", "--limit: got -1, want 0 or more"},
		{"orders --orderd=", `--orderd (ORDERD): got "", want host:port: it is empty`},
		{"orders --orderd localhost", `--orderd (ORDERD): got "localhost", want host:port`},
		{"orders --orderd :50051", `--orderd (ORDERD): got ":50051", want host:port: it has no host`},
		{"status --relay 127.0.0.1:1,,127.0.0.1:2", `--relay (RELAY): got "", want host:port: it is empty`},
		{"orders --orderd-identity spiffe://a.test/orderd", "--orderd-identity: without --tls-cert, --tls-key and"},
		{"status --paymentd-identity spiffe://a.test/paymentd", "--paymentd-identity: without --tls-cert"},
		{"parked --relay-identity spiffe://a.test/relay", "--relay-identity: without --tls-cert"},
		{"orders --tls-cert tls.crt", "--tls-key is missing"},
		{"demo --transport pigeon", `--transport must be one of "grpc","nats","rabbitmq","kafka"`},
		{"demo --naive --transport nats", "--naive calls paymentd: it goes with --transport grpc alone"},
		{"broker check", "--broker-url (SAGACTL_BROKER_URL) is missing: want the broker's URL"},
		{"broker setup --broker-url http://127.0.0.1", "broker URL: want nats://, tls://, amqp://"},
		{"broker setup --broker-url nats://127.0.0.1 --retention 59m", "--retention: got 59m0s, want at least 1h0m0s"},
		{"broker setup --broker-url nats://127.0.0.1 --replicas 0", "--replicas: got 0, want at least 1"},
		{"broker check --broker-url nats://127.0.0.1 --wait 0s", "--wait: got 0s, want more than 0s"},
		{"broker check --broker-url nats://broker.test", "host broker.test is off loopback"},
		{"parked --relay http://localhost:50053", `--relay (RELAY): got "http://localhost:50053", want host:port`},
	}
	for _, tt := range tests {
		cmd, _ := sagactl(t, strings.Fields(tt.args)...)
		if output, err := cmd.CombinedOutput(); codeOf(err) != 2 || !strings.Contains(string(output), tt.want) {
			t.Errorf("%s: got %v\n%s\nwant exit code 2, and %q", tt.args, err, output, tt.want)
		}
	}
}

// A variable that is set is meant, an empty one too: it is not the default.
func TestAnEmptyVariableIsNoAddress(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"ORDERD", "PAYMENTD", "RELAY"} {
		cmd, _ := sagactl(t, "status")
		cmd.Env = append(cmd.Env, service+"=")
		output, err := cmd.CombinedOutput()
		want := "(" + service + `): got "", want host:port`
		if codeOf(err) != 2 || !strings.Contains(string(output), want) {
			t.Errorf("%s=: got %v\n%s\nwant exit code 2, and %q", service, err, output, want)
		}
	}
}

// Outside a clone there is nothing to build, and that is all that is to be said.
func TestUpOutsideACloneSaysWhereToRunIt(t *testing.T) {
	t.Parallel()
	cmd, tmp := sagactl(t, "up")
	cmd.Dir = tmp
	output, err := cmd.CombinedOutput()
	last := string(output[strings.Index(string(output), "\n")+1:])
	const want = "sagactl: the daemons are built from source: run this inside a clone of hosho\n"
	if codeOf(err) != 2 || last != want {
		t.Errorf("got %v\n%s\nwant exit code 2, and after a line of progress %q", err, output, want)
	}
	leavesNothing(t, tmp)

	cmd, tmp = sagactl(t, "up")
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(tmp, "none"))
	output, err = cmd.CombinedOutput()
	if codeOf(err) != 2 || !strings.Contains(string(output), "(TMPDIR says where)") {
		t.Errorf("got %v\n%s\nwant exit code 2, and what decides where the folder is", err, output)
	}
}

// Colours are for a terminal that has them, and for people who want them.
func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	for setting, colours := range map[string]bool{"TERM=xterm": true, "TERM=dumb": false, "NO_COLOR=1": false} {
		cmd, _ := sagactl(t, "status",
			"--orderd", "127.0.0.1:1", "--paymentd", "127.0.0.1:1", "--relay", "127.0.0.1:1")
		cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=", setting)
		output, code, possible := onTerminal(t, cmd)
		if !possible {
			t.Log("there is no terminal to try it on")
			return
		}
		if code != 1 || !strings.Contains(output, "Nobody is there.") || strings.Contains(output, "\x1b") != colours {
			t.Errorf("%s: got %d, %q; want exit code 1, and colours: %v", setting, code, output, colours)
		}
	}
}

// Something else may listen at the address of a daemon: a database, or a daemon that stands still.
func TestWhatDoesNotSpeakGRPCIsSaidSo(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			_, _ = io.WriteString(conn, "220 smtp.example.com\r\n")
			_, _ = io.Copy(io.Discard, conn) // until it has been understood
			conn.Close()
		}
	}()
	cmd, _ := sagactl(t, "orders", "--orderd", listener.Addr().String())
	output, err := cmd.CombinedOutput()
	const want = "(what listens there does not speak gRPC, wants a certificate (--tls-cert), or stands still)"
	if codeOf(err) != 2 || !strings.Contains(string(output), want) {
		t.Errorf("got %v\n%s\nwant exit code 2, and what listens there", err, output)
	}
}
