package stack

import (
	"errors"
	"net"
	"strings"
	"testing"

	"hosho/internal/proc"
)

// An address that the daemons are to have by default and somebody else has is told before anything is started, be it
// that of the metrics, and so is one in a daemon's last words.
func TestATakenAddressIsTold(t *testing.T) {
	t.Parallel()
	listener, err := proc.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	port := listener.Addr().(*net.TCPAddr).Port
	_, again := net.Listen("tcp", address)
	for _, err := range []error{
		checkFree(port),
		takenIn("orderd: listen for metrics: " + again.Error() + "\n"),
	} {
		if !errors.Is(err, ErrPortTaken) || !strings.HasPrefix(err.Error(), "the address is in use: "+address) {
			t.Errorf("got %v, want it to say that %s is in use", err, address)
		}
	}
	if err := takenIn("orderd: migrate first\n"); err != nil {
		t.Errorf("got %v, want nothing about addresses", err)
	}
}
