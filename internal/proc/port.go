package proc

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
)

// Listen listens on a free port of 127.0.0.1. It chooses below the range that systems take the ports of outgoing
// connections from (Linux begins at 32768): from within it, a client that dials a server which is down, again and
// again, could be given the server's own port, and reach itself.
func Listen() (*net.TCPListener, error) {
	listener, promise, err := listen()
	if err != nil {
		return nil, err
	}
	return listener, promise.Close()
}

// FreePort chooses a port as Listen does, for a server that listens itself, later, and again when it was killed. On
// Linux no other program chooses that port here as long as this one runs. Others may still take it.
func FreePort() (int, error) {
	listener, promise, err := listen()
	if err != nil {
		return 0, err
	}
	promised.Lock()
	promised.all = append(promised.all, promise)
	promised.Unlock()
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// promised keeps what would otherwise be closed when nobody refers to it any more.
var promised struct {
	sync.Mutex
	all []io.Closer
}

func listen() (*net.TCPListener, io.Closer, error) {
	var err error
	for range 100 {
		port := 15000 + rand.IntN(17000)
		var promise io.Closer
		if promise, err = promisePort(port); err != nil {
			continue // it is some server's that is not running just now
		}
		var l net.Listener
		if l, err = net.Listen("tcp", Address(port)); err == nil {
			return l.(*net.TCPListener), promise, nil
		}
		promise.Close()
	}
	return nil, nil, fmt.Errorf("no free port: %w", err)
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
