package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"hosho/internal/wait"
)

// A line holds 1 MiB at most. Small chunks take as much of it as large ones; systems count their buffers like that too.
const (
	chunkSize  = 4 << 10
	lineChunks = 256
)

// line carries what one side of a connection sends to the other. A goroutine reads and another delivers, so that what
// is late does not keep what follows from setting out. When the line is full, the sender has to wait.
type line struct {
	connection *connection
	from, to   *net.TCPConn
	back       *line                           // the other way
	stalled    func(Link) bool                 // by a blackhole
	inspect    func([]byte) (pass int, at cut) // what it lets pass, and whether to cut the connection then
	chunks     chan chunk
	failed     atomic.Bool // the receiver is gone
}

// chunk is some bytes, or the end of them.
type chunk struct {
	bytes []byte
	end   error // io.EOF, or how the sender's connection broke
	due   time.Time
}

// read puts what is sent on the line until it ends.
func (l *line) read(ctx context.Context) {
	for {
		buffer := make([]byte, chunkSize)
		n, err := l.from.Read(buffer)
		if n > 0 && !l.put(ctx, chunk{bytes: buffer[:n]}) {
			return
		}
		if err != nil {
			l.put(ctx, chunk{end: err})
			return
		}
	}
}

func (l *line) put(ctx context.Context, c chunk) bool {
	c.due = time.Now().Add(l.connection.proxy.delay(c.end != nil))
	select {
	case <-ctx.Done():
		return false
	case l.chunks <- c:
		return true
	}
}

// deliver takes what is due from the line until it ends.
func (l *line) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-l.chunks:
			if !wait.For(ctx, time.Until(c.due)) || !l.connection.proxy.heals(ctx, l.stalled) {
				return
			}
			if c.end != nil {
				l.end(c.end)
				return
			}
			if !l.write(c.bytes) {
				return
			}
		}
	}
}

// write reports whether the line can go on.
func (l *line) write(b []byte) bool {
	pass, at := l.inspect(b)
	pass, breaks := l.connection.allow(pass)
	if _, err := l.to.Write(b[:pass]); err != nil {
		l.failed.Store(true) // the sender is told by the way back, when that delivers its end
		return false
	}
	if at != uncut {
		l.connection.proxy.cuts[at].Add(1)
	}
	if at != uncut || breaks {
		l.connection.cancel()
		return false
	}
	return true
}

// end passes on that the sender sends no more. A connection that breaks may read as one that has ended, when a write
// was told first.
func (l *line) end(err error) {
	if !errors.Is(err, io.EOF) || l.back.failed.Load() {
		l.connection.cancel()
		return
	}
	l.to.CloseWrite()
}
