package bench

import (
	"context"
	"encoding/binary"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"hosho/internal/rpc"
)

// lean is a connection whose unary calls take no more of the machine than they must: with gRPC's own client a call took
// as much of it as orderd, and what is measured shares it. What is on the wire is the same. A connection that is lost
// is made anew by the next call; streams go over one of gRPC's own.
type lean struct {
	*grpc.ClientConn

	address string

	mu     sync.Mutex
	link   *link // nil before the first call
	closed bool
}

func newLean(address string) (*lean, error) {
	conn, err := rpc.Dial(address)
	if err != nil {
		return nil, err
	}
	return &lean{ClientConn: conn, address: address}, nil
}

// Invoke makes a unary call, as grpc.ClientConn's does. It takes no options. The server is told callTimeout, whatever
// the time that is left to ctx: it bounds what nobody waits for any more.
func (c *lean) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	body, err := framed(args.(proto.Message))
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	l, err := c.connected(ctx)
	if err != nil {
		return status.Errorf(codes.Unavailable, "connect: %v", err)
	}
	made := newCall()
	if err := l.begin(made, method, body); err != nil {
		return err
	}
	select {
	case <-made.done:
	case <-ctx.Done():
		l.giveUp(made)
		return status.FromContextError(ctx.Err()).Err()
	}
	defer made.free()
	if made.err != nil {
		return made.err
	}
	return unframed(made.body, reply.(proto.Message))
}

// prefix is what stands before a message: whether it is compressed, and its length.
const prefix = 5

func framed(message proto.Message) ([]byte, error) {
	body, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, prefix, 256), message)
	if err == nil {
		binary.BigEndian.PutUint32(body[1:], uint32(len(body)-prefix))
	}
	return body, err
}

func unframed(body []byte, message proto.Message) error {
	if len(body) < prefix || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-prefix {
		return status.Errorf(codes.Internal, "got %d bytes, want one message that is not compressed", len(body))
	}
	if err := proto.Unmarshal(body[prefix:], message); err != nil {
		return status.Errorf(codes.Internal, "read the reply: %v", err)
	}
	return nil
}

// connected returns a link that takes calls.
func (c *lean) connected(ctx context.Context) (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	if c.link != nil && c.link.takes() {
		return c.link, nil
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	c.link, err = newLink(conn, c.address)
	return c.link, err
}

// Close ends all calls.
func (c *lean) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.link != nil {
		c.link.fail(net.ErrClosed)
	}
	return c.ClientConn.Close()
}

// call is one that waits for its answer.
type call struct {
	id   uint32
	body []byte // of the reply, as far as it has come
	err  error
	done chan struct{} // has room for one
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

func newCall() *call { return calls.Get().(*call) }

// free is for a call that was answered.
func (c *call) free() {
	c.body, c.err = c.body[:0], nil
	calls.Put(c)
}
