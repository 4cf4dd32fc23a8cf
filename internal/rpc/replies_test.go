package rpc

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// ask makes a call with an empty request, and returns the status of a refusal, "" when the reply begins.
func (c *rawClient) ask(t *testing.T, stream uint32) (refused string) {
	t.Helper()
	c.open(t, stream, getMethod)
	if err := c.WriteData(stream, true, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	c.await(t, func(f http2.Frame) bool {
		headers, ok := f.(*http2.MetaHeadersFrame)
		refused, _ = statusOf(f)
		return ok && headers.StreamID == stream
	})
	return refused
}

// size is of each reply here. Encoding them is what takes time.
const size = 256 << 10

// A client asks for large replies and takes none. It is refused when it has three of them; another client is not.
// When it has gone, so are they.
func TestWhoTakesNoRepliesGetsNoMore(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := start(t, &orders{size: size}, limited(func(l *limits) { l.unread = 3 * size }),
		func(c *ServerConfig) { c.Registry = registry })
	c := dialRaw(t, s.address, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for n := range uint32(3) {
		if refused := c.ask(t, 1+2*n); refused != "" {
			t.Errorf("call %d: got status %s, want a reply", n, refused)
		}
	}
	for n := uint32(3); n < 10; n++ {
		if refused := c.ask(t, 1+2*n); refused != "8" {
			t.Errorf("call %d: got status %s, want 8", n, refused)
		}
	}
	for range 10 {
		if err := s.get(t.Context()); err != nil {
			t.Errorf("another client: %v", err)
		}
	}
	if held := scrape(registry); !strings.Contains(held, "\nhosho_rpc_unread_bytes 7864") {
		t.Errorf("got %s, want three replies held", held)
	}
	c.conn.Close()
	for deadline := time.Now().Add(longWait); !strings.Contains(scrape(registry), "\nhosho_rpc_unread_bytes 0\n"); {
		if time.Now().After(deadline) {
			t.Fatalf("the replies are still held: %s", scrape(registry))
		}
		runtime.GC()
	}
}

// All together take too little. Who has not taken much is refused, who takes his replies is not.
func TestWhenAllHoldTooMuchThoseAreRefusedThatHoldIt(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{size: size}, limited(func(l *limits) { l.unreadByAll = 3 * size }))
	held := func(n int) (some []*rawClient) {
		for range n {
			c := dialRaw(t, s.address, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			if refused := c.ask(t, 1); refused != "" {
				t.Errorf("got status %s, want a reply", refused)
			}
			some = append(some, c)
		}
		return some
	}
	for _, c := range held(4) {
		if refused := c.ask(t, 3); refused != "8" {
			t.Errorf("got status %s, want 8", refused)
		}
	}
	for range 10 {
		wantCode(t, s.get(t.Context()), codes.OK)
	}
}
