package proxy_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/proxy"
	"hosho/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// longest bounds every wait. It is long, so that only a test that would fail runs into it.
const longest = 30 * time.Second

// links is a proxy and the server behind it, whose part the test plays.
type links struct {
	*proxy.Proxy
	server *net.TCPListener
}

func listen(t *testing.T) *links {
	t.Helper()
	server, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	p, err := proxy.Listen(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return &links{p, server}
}

func (l *links) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	client, err := net.DialTimeout("tcp", l.Address(), longest)
	return own(t, client, err)
}

func (l *links) accept(t *testing.T) *net.TCPConn {
	t.Helper()
	if err := l.server.SetDeadline(time.Now().Add(longest)); err != nil {
		t.Fatal(err)
	}
	server, err := l.server.Accept()
	return own(t, server, err)
}

func (l *links) connect(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	return l.dial(t), l.accept(t)
}

func own(t *testing.T, conn net.Conn, err error) *net.TCPConn {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(longest)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	if _, err := io.WriteString(conn, words); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	got := make([]byte, len(words))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != words {
		t.Fatalf("heard %q, %v, want %q", got[:n], err, words)
	}
}

// hearNothing listens for a while.
func hearNothing(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	if n, err := conn.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v, want nothing", got[:n], err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(longest)); err != nil {
		t.Fatal(err)
	}
}

// hearEnd wants the connection to end in order, and hearBreak to break, without another byte.
func hearEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Fatalf("heard %q, %v, want the end", rest, err)
	}
}

func hearBreak(t *testing.T, conn net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		t.Fatalf("heard %q, %v, want a reset", rest, err)
	}
}

// abort makes the other side see the connection break.
func abort(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	if err := errors.Join(conn.SetLinger(0), conn.Close()); err != nil {
		t.Fatal(err)
	}
}
