package rpc

import (
	"context"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"hosho/internal/admission"
)

// replies bounds the replies of unary calls that clients asked for and do not take. gRPC keeps a reply, whatever its
// size, until its client lets it be sent, when the handler has long gone: a connection of a thousand calls could hold a
// thousand pages. So a connection that has too much of them is refused its next call, and when all have too much those
// are refused that have some.
type replies struct {
	each, all int64 // bytes of a connection, and of all

	mu   sync.Mutex
	held int64
	of   map[*peer.Peer]int64
}

const (
	// heavy is how large a reply is that counts. A thousand streams of smaller ones are nothing.
	heavy = 4 << 10
	// fair is what a connection may have when all have too much: who takes replies as they come has hardly any.
	fair = 256 << 10
)

func newReplies(l limits) *replies {
	return &replies{each: l.unread, all: l.unreadByAll, of: map[*peer.Peer]int64{}}
}

// check returns an *admission.Overloaded when the caller's connection has too much that it does not take.
func (r *replies) check(ctx context.Context) error {
	from, _ := peer.FromContext(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.of[from]
	if own > r.each || own > fair && r.held > r.all {
		return &admission.Overloaded{Lane: "replies that are not read", RetryAfter: time.Second}
	}
	return nil
}

// weigh has a reply counted from when it is encoded until it is sent, or its connection has ended.
func (r *replies) weigh(ctx context.Context, reply any) any {
	message, ok := reply.(proto.Message)
	if !ok || proto.Size(message) < heavy {
		return reply
	}
	from, _ := peer.FromContext(ctx)
	return &weighed{message, from, r}
}

func (r *replies) add(from *peer.Peer, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += size
	if r.of[from] += size; r.of[from] == 0 {
		delete(r.of, from)
	}
}

// bytes returns how much is held.
func (r *replies) bytes() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return float64(r.held)
}

// weighed is a reply that counts.
type weighed struct {
	proto.Message

	from    *peer.Peer
	replies *replies
}

// Encoded is a message that is sent as it is: many may be sent the same one.
type Encoded []byte

// Lent is one whose bytes are the sender's again when it is sent.
type Lent []byte

// Received is a message that is kept as it came. Whether it is one is for who reads it to say.
type Received []byte

// codec is gRPC's own, but for replies that count, and for what is encoded.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(grpcproto.Name)} }

// NewCodec returns it for a client that receives messages as they come.
func NewCodec() encoding.CodecV2 { return newCodec() }

// Marshal is called by gRPC.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	var reply *weighed
	switch v := v.(type) {
	case *weighed:
		reply = v
	case Encoded:
		return mem.BufferSlice{mem.SliceBuffer(v)}, nil
	case Lent:
		return mem.BufferSlice{mem.Copy(v, mem.DefaultBufferPool())}, nil
	default:
		return c.CodecV2.Marshal(v)
	}
	text, err := proto.Marshal(reply.Message)
	if err != nil {
		return nil, err
	}
	size, from, replies := int64(len(text)), reply.from, reply.replies
	replies.add(from, size)
	taken := sync.OnceFunc(func() { replies.add(from, -size) })
	// gRPC gives a buffer back when it is sent. One that it forgets, as with a connection, is found by the collector.
	runtime.AddCleanup(&text, func(taken func()) { taken() }, taken)
	return mem.BufferSlice{mem.NewBuffer(&text, taker(taken))}, nil
}

// Unmarshal is called by gRPC.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if message, ok := v.(*Received); ok {
		*message = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

// taker is a pool into which a buffer comes when it was sent.
type taker func()

// Get is not called: the buffer is there.
func (taker) Get(length int) *[]byte { text := make([]byte, length); return &text }

// Put is called by gRPC.
func (taken taker) Put(*[]byte) { taken() }
