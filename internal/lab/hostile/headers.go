package hostile

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	orderv1 "hosho/gen/order/v1"
)

// Headers sends calls with 15 MiB of headers each, and no message, so that the daemon holds the headers.
func Headers(ctx context.Context, address string) error {
	large := make([]hpack.HeaderField, 15<<20/8192)
	for i := range large {
		large[i] = hpack.HeaderField{Name: fmt.Sprintf("x-%d", i), Value: strings.Repeat("~", 8<<10)}
	}
	return callAndHold(ctx, address, 4, 16, func(n int) []byte { return request(methods[n%len(methods)], large...) })
}

// HeaderBomb sends calls whose headers are one byte each on the wire, and 60 by HTTP/2's reckoning: the field
// "accept-encoding: gzip, deflate" of the table that every peer has.
func HeaderBomb(ctx context.Context, address string) error {
	const indexed = "\x90"
	fields := strings.Repeat(indexed, 260_000)
	return callAndHold(ctx, address, 4, 16, func(n int) []byte {
		return append(request(methods[n%len(methods)]), fields...)
	})
}

// callAndHold opens so many calls on each of so many connections, and sends no message.
func callAndHold(ctx context.Context, address string, clients, calls int, headers func(n int) []byte) error {
	blocks := make([][]byte, min(calls, len(methods)))
	for i := range blocks {
		blocks[i] = headers(i)
	}
	return storm2(ctx, address, clients, func(ctx context.Context, c *connection) error {
		for n := range calls {
			if _, err := c.call(blocks[n%len(blocks)], false); err != nil {
				return err
			}
		}
		return c.hold(ctx)
	})
}

// Keys sends calls with 500 metadata keys each that nobody has sent before, and then calls again.
func Keys(ctx context.Context, address string) error {
	return storm2(ctx, address, 4, func(ctx context.Context, c *connection) error {
		for n := range 500 {
			var keys []hpack.HeaderField
			for k := range 500 {
				keys = append(keys, hpack.HeaderField{Name: unique(c, n*500+k), Value: "1"})
			}
			if _, err := c.call(request(methods[n%len(methods)], keys...), true); err != nil {
				return err
			}
		}
		return c.hold(ctx)
	})
}

// Names calls methods that nobody has, each of another name: what counts calls by their method must not count these.
func Names(ctx context.Context, address string) error {
	return storm2(ctx, address, 4, func(ctx context.Context, c *connection) error {
		for n := range 5000 {
			name := "/order.v1.OrderService/" + unique(c, n) + strings.Repeat("n", 4<<10)
			if _, err := c.call(request(name), true); err != nil {
				return err
			}
		}
		return c.hold(ctx)
	})
}

func unique(conn net.Conn, n int) string {
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	return "x-" + port + "-" + strconv.Itoa(n)
}

// Streams opens 10,000 streams on one connection, and sends nothing on them.
func Streams(ctx context.Context, address string) error { return openStreams(ctx, address, 1, 10_000) }

// StreamsOfMany opens 10,000 streams, 1,000 on each of 10 connections.
func StreamsOfMany(ctx context.Context, address string) error {
	return openStreams(ctx, address, 10, 1000)
}

func openStreams(ctx context.Context, address string, clients, streams int) error {
	all := append([]string{watch}, methods...)
	return storm2(ctx, address, clients, func(ctx context.Context, c *connection) error {
		for n := range streams {
			method := all[n%len(all)]
			id, err := c.call(request(method), false)
			if err != nil {
				return err
			}
			if method != watch {
				continue
			}
			end := frames(func(f *http2.Framer) error { return f.WriteData(id, true, make([]byte, prefix)) })
			if err := c.write(end); err != nil {
				return err
			}
		}
		return c.hold(ctx)
	})
}

// Resets opens calls and resets them at once: the daemon has begun with each. There are 200,000 on each connection.
func Resets(ctx context.Context, address string) error {
	blocks := make([][]byte, len(methods))
	for i, m := range methods {
		blocks[i] = request(m)
	}
	body := message(&orderv1.GetOrderRequest{OrderId: "00000000-0000-4000-8000-000000000000"}) // or a payment's id
	return storm2(ctx, address, 4, func(ctx context.Context, c *connection) error {
		const together = 100
		for first := range 200_000 / together {
			many := frames(func(f *http2.Framer) error {
				for n := range together {
					id := uint32(2*(first*together+n) + 1)
					_ = writeCall(f, id, blocks[n%len(blocks)], false)
					_ = f.WriteData(id, true, body)
					_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
				}
				return nil
			})
			if err := c.write(many); err != nil {
				return err
			}
		}
		return c.hold(ctx)
	})
}
