package proc

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// A port that was chosen for a server is its own while that does not run, too.
func TestAChosenPortIsPromised(t *testing.T) {
	t.Parallel()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if promise, err := promisePort(port); err == nil {
		promise.Close()
		t.Errorf("port %d was promised twice", port)
	}
	listener, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	promise, err := promisePort(listener.Addr().(*net.TCPAddr).Port) // who listens needs none
	if err != nil {
		t.Fatal(err)
	}
	promise.Close()
}

func TestWhoListensIsTold(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err) // no IPv6 here
			continue
		}
		port := listener.Addr().(*net.TCPAddr).Port
		want := fmt.Sprintf("process %d (proc.", os.Getpid()) // go test's name for its program
		if got := Listening(port); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
		listener.Close()
		if got := Listening(port); got != "" {
			t.Errorf("%s: got %q when nobody listens, want nothing", address, got)
		}
	}
}
