package proxy

import (
	"context"
	"net"
	"sync"
)

// connection is a client's connection to the proxy, and the proxy's to the server.
type connection struct {
	proxy          *Proxy
	client, server *net.TCPConn
	cancel         context.CancelFunc // resets both
	ended          chan struct{}

	// Guarded by the proxy's mutex: how many bytes may still pass, of how many at most when that was chosen.
	left, within int
}

// run carries what both sides send until both have ended, or one is reset. Then nothing of the connection is left.
func (c *connection) run(ctx context.Context) {
	defer c.cancel()
	if !c.dial(ctx) {
		reset(c.client)
		return
	}
	up, down := c.lines()
	var writing, rest sync.WaitGroup
	rest.Go(func() {
		<-ctx.Done()
		reset(c.client)
		reset(c.server)
	})
	for _, l := range []*line{up, down} {
		rest.Go(func() { l.read(ctx) })
		writing.Go(func() { l.deliver(ctx) })
	}
	writing.Wait()
	if ctx.Err() == nil {
		c.client.Close() // in order: what they were sent last may still be on its way
		c.server.Close()
	}
	c.cancel()
	rest.Wait()
}

// dial is the first that a client sends: it waits behind StallUp.
func (c *connection) dial(ctx context.Context) bool {
	if !c.proxy.heals(ctx, stallsUp) {
		return false
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.proxy.whereTo())
	if err != nil {
		return false
	}
	c.server = conn.(*net.TCPConn)
	return true
}

func (c *connection) lines() (up, down *line) {
	up = &line{connection: c, from: c.client, to: c.server, stalled: stallsUp, inspect: passAll}
	down = &line{connection: c, from: c.server, to: c.client, stalled: stallsDown, inspect: passAll}
	if c.proxy.postgres {
		s := newSession(c.proxy.chooseCut)
		up.inspect, down.inspect = s.fromClient, s.fromServer
	}
	for _, l := range []*line{up, down} {
		l.chunks = make(chan chunk, lineChunks)
	}
	up.back, down.back = down, up
	return up, down
}

func stallsUp(l Link) bool   { return l.StallUp }
func stallsDown(l Link) bool { return l.StallDown }

func passAll(b []byte) (int, cut) { return len(b), uncut }

// allow returns how many of the next bytes may pass, and whether the connection breaks after them.
func (c *connection) allow(bytes int) (pass int, breaks bool) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	within := c.proxy.link.ResetWithin
	if within <= 0 {
		c.within = 0
		return bytes, false
	}
	if within != c.within {
		c.within, c.left = within, c.proxy.random.IntN(within+1)
	}
	pass = min(bytes, c.left)
	c.left -= pass
	return pass, c.left == 0
}

// reset closes a connection so that its peer sees it break. One that is closed already is left alone.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}
