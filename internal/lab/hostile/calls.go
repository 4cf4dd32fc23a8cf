package hostile

import (
	"context"
	"encoding/binary"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"hosho/internal/wait"
)

const (
	process    = "/payment.v1.PaymentService/ProcessPayments"
	reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	watch      = "/grpc.health.v1.Health/Watch"
)

// methods are one of each daemon, and one that all have. A daemon refuses those of others at once.
var methods = []string{
	"/grpc.health.v1.Health/Check",
	"/order.v1.OrderService/GetOrder",
	"/payment.v1.PaymentService/GetPayment",
	"/relay.v1.OutboxService/GetBacklog",
}

const prefix = 5 // bytes before each message: whether it is compressed, and how long it is

// message encodes a message as it stands on a stream.
func message(m proto.Message) []byte {
	encoded, err := proto.Marshal(m)
	if err != nil {
		panic(err) // made here, of what can be encoded
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(encoded))), encoded...)
}

// calls is what calls send.
type calls struct {
	methods []string // one after the other
	headers []hpack.HeaderField
	body    []byte
	frame   int // the most bytes in a DATA frame; 0: as many as it takes
	then    then
}

// then is what a call does when it has sent its body.
type then string

const (
	end   then = ""     // it says that this was all
	again then = "send" // it sends it again
	hold  then = "hold" // it says nothing, as if more were to come
)

// keep keeps so many calls open on each connection. Those that are ended are followed by others.
func (k calls) keep(ctx context.Context, address string, clients, streams int, settings ...http2.Setting) error {
	if k.frame == 0 {
		k.frame = maxFrame
	}
	return storm2(ctx, address, clients, func(ctx context.Context, c *connection) error {
		var all sync.WaitGroup
		for n := range streams {
			headers := request(k.methods[n%len(k.methods)], k.headers...)
			all.Go(func() {
				for c.isOpen() && k.one(c, headers) == nil {
					wait.For(ctx, comeback)
				}
			})
		}
		all.Wait()
		return nil
	}, settings...)
}

// one makes a call, and returns when it is ended; an error when the connection is.
func (k calls) one(c *connection, headers []byte) error {
	id, err := c.call(headers, false)
	if err != nil {
		return err
	}
	for {
		if c.send(id, k.body, k.frame) != nil {
			return nil
		}
		if k.then != again {
			break
		}
	}
	if k.then == end {
		if err := c.write(frames(func(f *http2.Framer) error { return f.WriteData(id, true, nil) })); err != nil {
			return err
		}
	}
	c.awaitEnd(id)
	return nil
}
