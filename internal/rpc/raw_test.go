package rpc

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	orderv1 "hosho/gen/order/v1"
)

// rawClient is a client that keeps to none of gRPC's manners: it writes HTTP/2 frames as a test says.
type rawClient struct {
	*http2.Framer

	conn    net.Conn
	encoded bytes.Buffer
	encoder *hpack.Encoder
}

// connect opens a connection, which says nothing yet.
func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(longWait)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func dialRaw(t *testing.T, address string, settings ...http2.Setting) *rawClient {
	t.Helper()
	conn := connect(t, address)
	c := &rawClient{Framer: http2.NewFramer(conn, conn), conn: conn}
	c.encoder = hpack.NewEncoder(&c.encoded)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err == nil {
		_ = c.WriteSettings(settings...)
	}
	return c // of which the test finds out whether the server took it
}

// open writes the headers of a call, and more of them if it is given some.
func (c *rawClient) open(t *testing.T, stream uint32, method string, more ...hpack.HeaderField) {
	t.Helper()
	c.encoded.Reset()
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: "orders"},
		{Name: "content-type", Value: "application/grpc"},
	}, more...) {
		if err := c.encoder.WriteField(field); err != nil {
			t.Error(err)
		}
	}
	first, rest := c.encoded.Bytes(), []byte(nil)
	if len(first) > 16<<10 {
		first, rest = first[:16<<10], first[16<<10:]
	}
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: rest == nil})
	for err == nil && len(rest) > 0 {
		n := min(len(rest), 16<<10)
		err = c.WriteContinuation(stream, n == len(rest), rest[:n])
		rest = rest[n:]
	}
	if err != nil {
		t.Logf("the server took no more of the headers: %v", err)
	}
}

// await reads frames until one is what a test waits for, or the connection ends.
func (c *rawClient) await(t *testing.T, is func(http2.Frame) bool) (ended bool) {
	t.Helper()
	for {
		frame, err := c.ReadFrame()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("waited %s in vain", longWait)
		}
		if err != nil {
			return true
		}
		if is(frame) {
			return false
		}
	}
}

const (
	getMethod   = orderv1.OrderService_GetOrder_FullMethodName
	watchMethod = orderv1.OrderService_WatchOrder_FullMethodName
)

// statusOf returns the status that ends a stream, "" where a frame is no end.
func statusOf(f http2.Frame) (code string, ended bool) {
	headers, ok := f.(*http2.MetaHeadersFrame)
	if !ok || !headers.StreamEnded() {
		return "", false
	}
	for _, field := range headers.Fields {
		if field.Name == "grpc-status" {
			code = field.Value
		}
	}
	return code, true
}
