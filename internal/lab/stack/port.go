package stack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"hosho/internal/proc"
)

// The daemons' ports by default: orderd's, and that of its metrics. Those of paymentd and of the relays follow them.
const (
	firstPort      = 50051
	firstAdminPort = 9101
	httpPort       = 8000 // of orderd's JSON door
)

// ErrPortTaken says that somebody else uses an address that the stack was to have.
var ErrPortTaken = errors.New("the address is in use")

func fixedPorts(first, n int) []int {
	ports := make([]int, n)
	for i := range ports {
		ports[i] = first + i
	}
	return ports
}

// checkFree tells a port that is taken before anything is started on the others.
func checkFree(ports ...int) error {
	for _, port := range ports {
		listener, err := net.Listen("tcp", proc.Address(port))
		if err != nil {
			return taken(proc.Address(port))
		}
		listener.Close()
	}
	return nil
}

// taken is the error of an address that somebody else listens at, and says who, as far as it can be told.
func taken(address string) error {
	by := ""
	if _, port, err := net.SplitHostPort(address); err == nil {
		if n, err := strconv.Atoi(port); err == nil {
			by = proc.Listening(n)
		}
	}
	if by != "" {
		by = ", by " + by
	}
	return fmt.Errorf("%w: %s%s", ErrPortTaken, address, by)
}

// inUse is how Go, and so the daemons, say that an address is taken.
const inUse = "bind: address already in use"

// takenIn returns the error of the address that a daemon's last words say is taken, and nil when they say nothing such.
func takenIn(words string) error {
	before, _, found := strings.Cut(words, ": "+inUse)
	if !found {
		return nil
	}
	return taken(before[strings.LastIndex(before, " ")+1:])
}
