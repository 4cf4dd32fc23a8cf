package proc_test

import (
	"net"
	"slices"
	"testing"

	"hosho/internal/proc"
)

func TestFreePortsAreDifferentAndFree(t *testing.T) {
	t.Parallel()
	ports, err := proc.FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if got := len(slices.Compact(ports)); got != 20 {
		t.Errorf("got %d different ports, want 20", got)
	}
	for _, port := range ports[:20] {
		if port < 15000 || port >= 32000 {
			t.Errorf("got port %d, want one from which no connection goes out", port)
		}
	}
}

func TestAListenerIsReachedAtItsAddress(t *testing.T) {
	t.Parallel()
	listener, err := proc.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", proc.Address(listener.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
