package hostile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// maxFrame is the largest payload of a frame that every peer takes.
const maxFrame = 16 << 10

// connection is one HTTP/2 connection. It counts the window that it has for sending; what it gets it gives no window
// for, so that a peer which has sent 64 KiB waits.
type connection struct {
	net.Conn
	framer *http2.Framer
	gone   chan struct{} // closed when nothing can be read any more

	mu      sync.Mutex
	next    uint32     // the next stream's id
	window  int64      // for sending, of the whole connection
	wider   *sync.Cond // the connection's window is, or its end has come
	first   int64      // the window of a new stream
	streams map[uint32]*stream
	closed  bool
}

// stream is one that the server has not ended.
type stream struct {
	window  int64
	changed *sync.Cond // its window, or whether it is open
}

// attack2 is an attack of a client that has begun as a decent one does.
type attack2 func(ctx context.Context, c *connection) error

// storm2 is storm over HTTP/2, whose connections begin with these settings.
func storm2(ctx context.Context, address string, clients int, attack attack2, settings ...http2.Setting) error {
	return storm(ctx, address, clients, func(ctx context.Context, conn net.Conn) error {
		c := newConnection(conn)
		if err := c.greet(settings...); err != nil {
			return err
		}
		go c.obey()
		defer func() { conn.Close(); <-c.gone }()
		return attack(ctx, c)
	})
}

func newConnection(conn net.Conn) *connection {
	c := &connection{
		Conn: conn, framer: http2.NewFramer(conn, conn), gone: make(chan struct{}),
		next: 1, window: 65535, first: 65535, streams: map[uint32]*stream{},
	}
	c.wider = sync.NewCond(&c.mu)
	c.framer.AllowIllegalWrites = true
	return c
}

func (c *connection) greet(settings ...http2.Setting) error {
	first := frames(func(f *http2.Framer) error { return f.WriteSettings(settings...) })
	return c.write(append([]byte(http2.ClientPreface), first...))
}

// write is how everything is sent: whole frames, of one sender at a time, since the net.Conn takes no half of them.
func (c *connection) write(p []byte) error {
	_, err := c.Conn.Write(p)
	return err
}

// obey reads until the connection ends, and answers what a client must: settings and pings.
func (c *connection) obey() {
	defer c.end()
	for {
		frame, err := c.framer.ReadFrame()
		if streamErr := (http2.StreamError{}); errors.As(err, &streamErr) {
			continue
		}
		if err != nil {
			return
		}
		if err := c.take(frame); err != nil {
			return
		}
	}
}

func (c *connection) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		c.settle(f)
		return c.write(frames(func(f *http2.Framer) error { return f.WriteSettingsAck() }))
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.write(frames(func(w *http2.Framer) error { return w.WritePing(true, f.Data) }))
		}
	case *http2.WindowUpdateFrame:
		c.widen(f.StreamID, int64(f.Increment))
	case *http2.RSTStreamFrame:
		c.forget(f.StreamID)
	case *http2.HeadersFrame:
		if f.StreamEnded() {
			c.forget(f.StreamID)
		}
	}
	return nil
}

func (c *connection) settle(f *http2.SettingsFrame) {
	size, told := f.Value(http2.SettingInitialWindowSize)
	if !told {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.streams {
		s.window += int64(size) - c.first
		s.changed.Broadcast()
	}
	c.first = int64(size)
}

func (c *connection) widen(id uint32, by int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == 0 {
		c.window += by
		c.wider.Broadcast()
	} else if s := c.streams[id]; s != nil {
		s.window += by
		s.changed.Broadcast()
	}
}

func (c *connection) forget(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[id]; s != nil {
		delete(c.streams, id)
		s.changed.Broadcast()
		c.wider.Broadcast()
	}
}

func (c *connection) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, s := range c.streams {
		s.changed.Broadcast()
	}
	c.wider.Broadcast()
	close(c.gone)
}

// call opens a stream with a block of headers, in as many CONTINUATION frames as it takes.
func (c *connection) call(block []byte, end bool) (id uint32, err error) {
	c.mu.Lock()
	defer c.mu.Unlock() // ids must be sent in their order
	id = c.next
	c.next += 2
	c.streams[id] = &stream{window: c.first, changed: sync.NewCond(&c.mu)}
	return id, c.write(frames(func(f *http2.Framer) error { return writeCall(f, id, block, end) }))
}

func writeCall(f *http2.Framer, id uint32, block []byte, end bool) error {
	n := min(len(block), maxFrame)
	err := f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: block[:n], EndStream: end, EndHeaders: n == len(block),
	})
	for block = block[n:]; len(block) > 0 && err == nil; block = block[n:] {
		n = min(len(block), maxFrame)
		err = f.WriteContinuation(id, n == len(block), block[:n])
	}
	return err
}

var errEnded = errors.New("the stream has ended")

// send sends data on a stream as its window and the connection's allow, in frames of at most so many bytes.
func (c *connection) send(id uint32, data []byte, most int) error {
	for len(data) > 0 {
		n, err := c.spend(id, min(len(data), most))
		if err != nil {
			return err
		}
		if err := c.write(frames(func(f *http2.Framer) error { return f.WriteData(id, false, data[:n]) })); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// spend waits for a window and takes at most so much of it.
func (c *connection) spend(id uint32, most int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		s := c.streams[id]
		if s == nil || c.closed {
			return 0, errEnded
		}
		if n := min(int64(most), s.window, c.window); n > 0 {
			s.window -= n
			c.window -= n
			return int(n), nil
		}
		if s.window > 0 {
			c.wider.Wait()
		} else {
			s.changed.Wait()
		}
	}
}

// hold waits until somebody ends the connection.
func (c *connection) hold(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-c.gone:
	}
	return io.EOF
}

// awaitEnd waits until the server ends a stream, or somebody the connection.
func (c *connection) awaitEnd(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := c.streams[id]; s != nil && !c.closed; s = c.streams[id] {
		s.changed.Wait()
	}
}

func (c *connection) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed
}

// frames returns what a framer writes.
func frames(write func(*http2.Framer) error) []byte {
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	_ = write(f) // a buffer takes everything
	return b.Bytes()
}

// block encodes headers so that any connection takes them at any time: without the table that both sides keep.
func block(fields ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, field := range fields {
		field.Sensitive = true // is never put into the table
		_ = e.WriteField(field)
	}
	return b.Bytes()
}

// request returns the headers of a gRPC call.
func request(method string, more ...hpack.HeaderField) []byte {
	return block(append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: "hosho"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}, more...)...)
}
