package proc

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
)

// Listen listens on a free port of 127.0.0.1. It chooses below the range that systems take the ports of outgoing
// connections from (Linux begins at 32768): from within it, a client that dials a server which is down, again and
// again, could be given the server's own port, and reach itself.
func Listen() (*net.TCPListener, error) {
	var err error
	for range 100 {
		port := 15000 + rand.IntN(17000)
		var l net.Listener
		if l, err = net.Listen("tcp", Address(port)); err == nil {
			return l.(*net.TCPListener), nil
		}
	}
	return nil, fmt.Errorf("no free port: %w", err)
}

// FreePort chooses a port as Listen does, for a server that listens itself.
func FreePort() (int, error) {
	listener, err := Listen()
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// FreePorts chooses n different ports.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for len(ports) < n {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

// Address is a port's address on 127.0.0.1.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
