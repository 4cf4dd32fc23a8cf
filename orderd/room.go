package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/peer"

	"hosho/internal/admission"
)

// What streams of orders may take up, whoever opened them.
const (
	maxStreams     = 64 // over all
	maxStreamsEach = 8  // over one connection
	// maxPlacing is how many orders of all streams are being placed at a time: as many as are in some tenths of a
	// second, so that an order which comes by itself does not wait for longer behind them.
	maxPlacing = 2048
)

// room is where streams of orders, and what is read of them, find a place. A stream waits with one request, and takes
// turns with the others: none keeps another out by sending more.
type room struct {
	placing *semaphore.Weighted // holds one for each order that is being placed

	mu      sync.Mutex
	streams int
	each    map[string]int // by the address of the connection's other end
}

func newRoom() *room {
	return &room{placing: semaphore.NewWeighted(maxPlacing), each: map[string]int{}}
}

// open lets one more stream in, or returns an *admission.Overloaded. Whoever was let in calls leave.
func (r *room) open(ctx context.Context) (leave func(), err error) {
	var from string
	if client, ok := peer.FromContext(ctx); ok {
		from = client.Addr.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams >= maxStreams || r.each[from] >= maxStreamsEach {
		return nil, &admission.Overloaded{Lane: "streams", RetryAfter: time.Second}
	}
	r.streams++
	r.each[from]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.streams--
		if r.each[from]--; r.each[from] == 0 {
			delete(r.each, from)
		}
	}, nil
}
