package hostile

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
)

const hello = "GET /metrics HTTP/1.1\r\nHost: hosho\r\n"

// AdminSlow sends the admin address a byte of a request a second.
func AdminSlow(ctx context.Context, address string) error {
	return storm(ctx, address, 1000, func(ctx context.Context, conn net.Conn) error {
		return trickle(ctx, conn, []byte(hello+strings.Repeat("x: 1\r\n", 1000)))
	})
}

// AdminHeaders sends it headers that never end, almost as large as net/http takes them by default.
func AdminHeaders(ctx context.Context, address string) error {
	large := append([]byte(hello), bytes.Repeat([]byte("x: "+strings.Repeat("y", 9<<10)+"\r\n"), 100)...)
	return storm(ctx, address, 400, func(_ context.Context, conn net.Conn) error {
		if _, err := conn.Write(large); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, conn)
		return err
	})
}

// AdminUnread asks it for metrics again and again, and reads none.
func AdminUnread(ctx context.Context, address string) error {
	many := bytes.Repeat([]byte(hello+"\r\n"), 1000)
	return storm(ctx, address, 400, func(ctx context.Context, conn net.Conn) error {
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		_, err := conn.Write(many)
		if err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
}

// AdminIdle asks it once, and stays.
func AdminIdle(ctx context.Context, address string) error {
	return storm(ctx, address, 2000, func(_ context.Context, conn net.Conn) error {
		if _, err := io.WriteString(conn, "GET /none HTTP/1.1\r\nHost: hosho\r\n\r\n"); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, conn)
		return err
	})
}

// AdminProfiles asks it for every profile at once, and for traces of a minute.
func AdminProfiles(ctx context.Context, address string) error {
	paths := []string{
		"profile?seconds=60", "trace?seconds=60", "heap?gc=1", "goroutine?debug=2", "allocs", "mutex?seconds=60",
		"block?seconds=60", "heap?seconds=60",
	}
	return storm(ctx, address, 32, func(_ context.Context, conn net.Conn) error {
		_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
		path := paths[int(port[len(port)-1])%len(paths)]
		_, err := io.WriteString(conn, "GET /debug/pprof/"+path+" HTTP/1.1\r\nHost: hosho\r\nConnection: close\r\n\r\n")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, conn)
		return err
	})
}
