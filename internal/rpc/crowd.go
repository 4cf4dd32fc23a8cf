package rpc

import (
	"container/list"
	"net"
	"sync"
	"time"
)

// crowd is a listener whose connections are counted. Of too many one is closed at once, so that its client knows and
// does not hang: the newest, whose client has done nothing yet; or the oldest, where connections are short and one that
// stays is of somebody who only stands there.
type crowd struct {
	net.Listener
	most         int
	closesOldest bool
	refused      func()

	mu   sync.Mutex
	open list.List // of *member, the oldest first
}

// turnover is how long the next connection waits when an old one had to give way: whoever comes again and again is let
// in a hundred times a second at most, and costs the process no more than that.
const turnover = 10 * time.Millisecond

// Accept waits for the next connection that there is room for.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		m := &member{Conn: conn, crowd: c}
		surplus := c.add(m)
		if surplus == nil {
			return m, nil
		}
		c.refused() // whoever finds himself closed finds that counted
		_ = surplus.Close()
		if surplus != m {
			time.Sleep(turnover)
			return m, nil
		}
	}
}

// add counts a connection, and returns the one to be closed when there are too many.
func (c *crowd) add(m *member) (surplus *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.place = c.open.PushBack(m)
	switch {
	case c.open.Len() <= c.most:
		return nil
	case c.closesOldest:
		return c.open.Front().Value.(*member)
	}
	return m
}

// member is a connection that is counted until it is closed.
type member struct {
	net.Conn
	crowd *crowd
	place *list.Element // nil when it is not counted any more
}

// Close closes the connection and makes room for another.
func (m *member) Close() error {
	m.crowd.mu.Lock()
	if m.place != nil {
		m.crowd.open.Remove(m.place)
		m.place = nil
	}
	m.crowd.mu.Unlock()
	return m.Conn.Close()
}
