package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rpc"
	"hosho/internal/trace"
	"hosho/internal/validate"
	"hosho/internal/wait"
)

const (
	maxOrders = 100 // of one request
	// maxUnsettled is how many settlements a stream may wait for.
	maxUnsettled = 10_000
	// maxUntaken is how many bytes of requests a stream may have sent whose orders are not acknowledged yet, or whose
	// acknowledgements it has not taken: in memory an order takes up to ten times as much.
	maxUntaken = 256 << 10
	// maxStreamAge is when a stream ends. A connection that is old lets its streams live for ten minutes more
	// (internal/rpc), and then cuts them off, acknowledged or not.
	maxStreamAge = 9 * time.Minute
)

// CreateOrders accepts orders in bulk.
//
// Two goroutines serve a stream: one reads requests and has their orders placed, while this one sends what became of
// them. It ends when nothing more is read and what was read is acknowledged.
func (s *server) CreateOrders(stream orderv1.OrderService_CreateOrdersServer) error {
	leave, err := s.room.streams.Open(stream.Context())
	if err != nil {
		return err
	}
	defer leave()
	reading, stop := context.WithCancel(stream.Context())
	defer stop()
	c := &conversation{
		server: s, stream: stream, traceparent: trace.Sent(stream.Context()), reading: reading, stop: stop,
		news: wait.NewBell(), taken: wait.NewBell(),
	}
	defer c.close()
	go c.read()
	return c.answer()
}

// conversation is one open stream of orders.
type conversation struct {
	*server

	stream      orderv1.OrderService_CreateOrdersServer
	traceparent string          // that it came with
	reading     context.Context // ends when nothing more is read
	stop        context.CancelFunc
	news        wait.Bell // rings when there is something to send, or nothing more to come
	taken       wait.Bell // rings when the client has taken something

	handling sync.Mutex // held while the orders of a request are begun
	gone     bool       // nobody hears of orders any more; guarded by handling, and by mu

	mu         sync.Mutex
	ended      bool  // nothing more is read
	cause      error // why, nil when the client has sent its last request
	broken     bool  // what was read may never be answered: there was a panic
	waiting    bundle
	untaken    int64        // bytes of the orders that are not answered, or whose answers were not taken
	unanswered int          // orders that are not, or whose answers were not taken
	unsettled  int          // orders whose client asked for their end and has not been told
	watched    []*sequenced // what the hub tells of, each at its place

	sent bundle // is empty, with room for the next events; for the goroutine that answers
}

// end has nothing more read, and the stream end with the cause once what was read is answered. The first cause counts;
// that the client has sent its last request is none.
func (c *conversation) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cause == nil {
		c.cause = cause
	}
	c.stop()
	c.news.Ring()
}

// breakOff ends the stream with the cause whether or not what was read is answered.
func (c *conversation) breakOff(cause error) {
	c.mu.Lock()
	c.broken = true
	c.mu.Unlock()
	c.end(cause)
}

// over reports whether there is nothing more to send, and why. Settlements are waited for only where the client chose
// the end: whoever is told to go elsewhere watches the rest.
func (c *conversation) over() (cause error, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answered := c.unanswered == 0 && (c.cause != nil || c.unsettled == 0)
	return c.cause, c.ended && (answered || c.broken)
}

// answer sends events until the stream is over, and returns how it ends.
func (c *conversation) answer() error {
	old := time.NewTimer(c.streamAge)
	defer old.Stop()
	stopping := c.hub.stopping
	for {
		select {
		case <-c.news:
		case <-stopping:
			stopping = nil
			c.end(rpc.ErrStopping)
		case <-old.C:
			c.end(rpc.ErrStopping)
		case <-c.stream.Context().Done():
			return c.stream.Context().Err()
		}
		if err := c.send(); err != nil {
			return err
		}
		if cause, over := c.over(); over {
			return cause
		}
	}
}

// close has nobody hear of the stream's orders any more. Those that are being placed are placed.
func (c *conversation) close() {
	c.handling.Lock()
	defer c.handling.Unlock()
	ids := map[*sequenced]string{}
	c.mu.Lock()
	c.gone, c.ended = true, true
	for _, i := range c.watched {
		ids[i] = i.id
	}
	c.mu.Unlock()
	for i, id := range ids {
		c.hub.forget(id, i)
	}
}

// read has the orders of each request placed, until the client has sent its last one or nothing more is read. Receiving
// cannot be interrupted while the stream is open: the goroutine ends a moment after CreateOrders has returned, when
// gRPC has closed the stream.
func (c *conversation) read() {
	defer func() {
		if p := recover(); p != nil {
			c.breakOff(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	for {
		var message rpc.Received // so that a request waits as its bytes, and no more
		err := c.stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			c.end(nil)
			return
		}
		if err == nil {
			err = c.readOne(message)
		} else if isUndecodable(err) {
			err = errUndecodable()
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

// readOne waits until there is room for a request, and has its orders placed.
func (c *conversation) readOne(message []byte) error {
	n, err := countOrders(message)
	if err != nil {
		return err
	}
	if err := c.admit(len(message), n); err != nil {
		return err
	}
	orders, err := ordersIn(message, n)
	if err != nil {
		c.room.placing.Release(int64(n))
		c.release(int64(len(message)), n, n)
		return err
	}
	c.begin(orders, int64(len(message)))
	return nil
}

// admit waits until a request of so many bytes and orders may be placed. The client that sends faster than that, or
// does not take what it is sent, waits meanwhile.
func (c *conversation) admit(size, orders int) error {
	for !c.hold(int64(size), orders) {
		select {
		case <-c.taken:
		case <-c.reading.Done():
			return c.reading.Err()
		}
	}
	err := c.room.placing.Acquire(c.reading, int64(orders))
	if err != nil {
		c.release(int64(size), orders, orders)
	}
	return err
}

// hold counts a request, if there is room for it. Until it is read each of its orders is taken for one whose end is
// asked for.
func (c *conversation) hold(size int64, orders int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	full := c.unanswered > 0 && c.untaken+size > maxUntaken || c.unsettled+orders > c.mostUnsettled
	if c.ended || full {
		return false
	}
	c.untaken += size
	c.unanswered += orders
	c.unsettled += orders
	return true
}

// release counts a part of what was held no more.
func (c *conversation) release(size int64, orders, settled int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.untaken -= size
	c.unanswered -= orders
	c.unsettled -= settled
	c.taken.Ring()
	c.news.Ring()
}

// countOrders counts the orders of a request, and looks at none: what is wrong with one is that one's own event.
func countOrders(message []byte) (n int, err error) {
	field := (&orderv1.CreateOrdersRequest{}).ProtoReflect().Descriptor().Fields().ByName("orders").Number()
	for len(message) > 0 {
		number, _, length := protowire.ConsumeField(message)
		if length < 0 {
			return 0, errUndecodable()
		}
		if number == field {
			n++
		}
		message = message[length:]
	}
	var f validate.Fields
	if n < 1 || n > maxOrders {
		f.Add("orders", "got %d, want 1 to %d", n, maxOrders)
	}
	return n, f.Err()
}

// errUndecodable refuses what is no request. Its client and this service do not speak of the same contract.
func errUndecodable() error {
	var f validate.Fields
	f.Add("orders", "got what is no CreateOrdersRequest")
	return f.Err()
}
