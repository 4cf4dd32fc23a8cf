package rpc

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc/peer"
)

// Streams come over many connections, one each. When as many are open as may be, one more is refused; and when they
// have gone nothing is left of them.
func TestStreamsAreBoundedOverAllConnections(t *testing.T) {
	t.Parallel()
	from := func(port int) context.Context {
		return peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}})
	}
	const most, each = 5, 2
	s := NewStreams(most, each)
	var leaves []func()
	for n := range most {
		leave, err := s.Open(from(n))
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if _, err := s.Open(from(most)); err == nil {
		t.Errorf("got a place for one more than %d", most)
	}
	for _, leave := range leaves {
		leave()
	}
	if s.open != 0 || len(s.of) != 0 {
		t.Errorf("got %d streams of %d connections, want nothing left of those that have gone", s.open, len(s.of))
	}
	for range each {
		if _, err := s.Open(from(0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Open(from(0)); err == nil {
		t.Errorf("got a place for one more than %d of a connection", each)
	}
	if _, err := s.Open(from(1)); err != nil {
		t.Errorf("another connection: got %v, want a place", err)
	}
}
