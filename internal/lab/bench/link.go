package bench

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"hosho/internal/wait"
)

const (
	// largestReply is what may be on its way of a reply before it is read, in bytes.
	largestReply = 1 << 20
	// largestRequest is what fits into one frame of every server.
	largestRequest = 16 << 10
	// received is how many bytes of replies are on their way at most, and granted anew when half of them have come.
	received = 1 << 30
)

// link is an HTTP/2 connection with calls on it. What is asked in the same moment goes out in one write.
type link struct {
	conn      net.Conn
	authority string
	bell      wait.Bell     // there is something to write
	gone      chan struct{} // is closed when the connection is
	fr        *http2.Framer // writes into out, and reads from conn

	mu      sync.Mutex
	room    *sync.Cond // there may be room for another call
	out     outgoing
	waiting map[uint32]*call // by stream
	next    uint32           // stream
	most    int              // calls at a time; 0 until the server has said
	window  int              // bytes that may be sent
	leaving bool             // the server takes no new calls
	err     error            // why the connection has ended

	headers *hpack.Encoder // into block
	block   outgoing
	head    head
	grant   int // bytes of replies since the last grant; for the reader alone
}

// head is the headers of a call. When all of them are in the server's table they are the same bytes each time.
type head struct {
	method string
	block  []byte
	stays  bool
}

type outgoing []byte

// Write never fails.
func (o *outgoing) Write(p []byte) (int, error) {
	*o = append(*o, p...)
	return len(p), nil
}

func newLink(conn net.Conn, authority string) (*link, error) {
	l := &link{
		conn: conn, authority: authority, bell: wait.NewBell(), gone: make(chan struct{}),
		waiting: map[uint32]*call{}, next: 1, window: 65_535, // as HTTP/2 begins
	}
	l.room = sync.NewCond(&l.mu)
	l.fr = http2.NewFramer(&l.out, bufio.NewReaderSize(conn, 64<<10))
	l.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	l.fr.SetReuseFrames()
	l.headers = hpack.NewEncoder(&l.block)
	l.out = append(l.out, http2.ClientPreface...)
	err := l.fr.WriteSettings(http2.Setting{ID: http2.SettingEnablePush},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: largestReply})
	if err == nil {
		err = l.fr.WriteWindowUpdate(0, received)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	l.bell.Ring()
	go l.write()
	go func() { l.fail(l.read()) }()
	return l, nil
}

// takes reports whether the link takes another call.
func (l *link) takes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err == nil && !l.leaving
}

// begin sends a call when there is room for it.
func (l *link) begin(c *call, method string, body []byte) error {
	if len(body) > largestRequest {
		return status.Errorf(codes.ResourceExhausted, "got %d bytes, want %d at most", len(body), largestRequest)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && !l.leaving && (len(l.waiting) >= l.most || l.window < len(body)) {
		l.room.Wait()
	}
	if l.err != nil || l.leaving {
		return lost(l.err)
	}
	c.id = l.next
	l.next += 2
	l.waiting[c.id] = c
	l.window -= len(body)
	block, err := l.headersOf(method)
	if err == nil {
		err = l.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: c.id, BlockFragment: block, EndHeaders: true})
	}
	if err == nil {
		err = l.fr.WriteData(c.id, true, body)
	}
	l.bell.Ring()
	return err
}

// headersOf returns the headers of a call, encoded.
func (l *link) headersOf(method string) ([]byte, error) {
	if l.head.stays && l.head.method == method {
		return l.head.block, nil
	}
	l.block = l.block[:0]
	for _, field := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", method},
		{":authority", l.authority},
		{"content-type", "application/grpc"},
		{"user-agent", "sagactl"},
		{"te", "trailers"},
		{"grpc-timeout", fmt.Sprintf("%dS", int(callTimeout/time.Second))},
	} {
		if err := l.headers.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return nil, err
		}
	}
	same := l.head.method == method && string(l.head.block) == string(l.block)
	l.head = head{method, append([]byte(nil), l.block...), same}
	return l.head.block, nil
}

// giveUp ends a call that nobody waits for any more.
func (l *link) giveUp(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[c.id] == c {
		delete(l.waiting, c.id)
		_ = l.fr.WriteRSTStream(c.id, http2.ErrCodeCancel) // into memory
		l.room.Signal()
		l.bell.Ring()
	}
}

// write sends what there is, until the connection has ended.
func (l *link) write() {
	var spare outgoing
	for {
		select {
		case <-l.bell:
		case <-l.gone:
			return
		}
		runtime.Gosched() // whoever was told by the same read calls again with this one
		l.mu.Lock()
		spare, l.out = l.out, spare[:0]
		l.mu.Unlock()
		if _, err := l.conn.Write(spare); err != nil {
			l.fail(err)
			return
		}
	}
}

// fail ends the connection, and the calls on it.
func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	close(l.gone)
	l.conn.Close()
	for _, c := range l.waiting {
		l.end(c, lost(err))
	}
	l.room.Broadcast()
}

// end tells a call its end; mu is held.
func (l *link) end(c *call, err error) {
	delete(l.waiting, c.id)
	c.err = err
	c.done <- struct{}{}
	l.room.Signal()
}

func lost(err error) error {
	return status.Errorf(codes.Unavailable, "the connection was lost: %v", err)
}
