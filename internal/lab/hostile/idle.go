package hostile

import (
	"context"
	"io"
	"net"

	"golang.org/x/net/http2"
)

const many = 3000

// Idle opens 3,000 connections and says nothing.
func Idle(ctx context.Context, address string) error { return idle(ctx, address, "") }

// IdlePreface opens 3,000 connections and sends HTTP/2's first line, without the settings that must follow.
func IdlePreface(ctx context.Context, address string) error {
	return idle(ctx, address, http2.ClientPreface)
}

// IdleGreeted opens 3,000 connections as a client does, and calls nobody.
func IdleGreeted(ctx context.Context, address string) error {
	return storm2(ctx, address, many, func(ctx context.Context, c *connection) error { return c.hold(ctx) })
}

func idle(ctx context.Context, address, greeting string) error {
	return storm(ctx, address, many, func(_ context.Context, conn net.Conn) error {
		if _, err := io.WriteString(conn, greeting); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, conn) // until it is closed
		return err
	})
}

// Garbage sends what is no HTTP/2: a request of HTTP/1, the beginning of TLS, and noise.
func Garbage(ctx context.Context, address string) error {
	noise := []string{
		"GET / HTTP/1.1\r\nHost: hosho\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		http2.ClientPreface + "\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x40\x00\x01\x04\x00\x00\x00\x01" +
			string(make([]byte, maxFrame)),
	}
	return storm(ctx, address, 200, func(_ context.Context, conn net.Conn) error {
		_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
		if _, err := io.WriteString(conn, noise[int(port[len(port)-1])%len(noise)]); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, conn)
		return err
	})
}
