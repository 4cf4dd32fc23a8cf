package rpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/peer"

	"hosho/internal/admission"
)

// Streams bounds how many streams of a method are open, over all connections and over one. Unlike a lane it has nobody
// wait: a stream lasts.
type Streams struct {
	most, each int

	mu   sync.Mutex
	open int
	of   map[string]int // by the address of the connection's other end
}

// NewStreams makes Streams for so many over all, and so many of one connection.
func NewStreams(most, each int) *Streams {
	return &Streams{most: most, each: each, of: map[string]int{}}
}

// Open lets one more stream in, or returns an *admission.Overloaded. Whoever was let in calls leave, once.
func (s *Streams) Open(ctx context.Context) (leave func(), err error) {
	var from string
	if client, ok := peer.FromContext(ctx); ok {
		from = client.Addr.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.most || s.of[from] >= s.each {
		return nil, &admission.Overloaded{Lane: "streams", RetryAfter: time.Second}
	}
	s.open++
	s.of[from]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.of[from]--; s.of[from] == 0 {
			delete(s.of, from)
		}
	}, nil
}
