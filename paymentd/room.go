package main

import (
	"context"

	"hosho/internal/rpc"
)

// What streams of commands may take up, whoever opened them. A relay has one, and three for a while at most.
const (
	maxStreams     = 32 // over all
	maxStreamsEach = 8  // over one connection
	// maxExtra is how many requests are at work over all streams besides the one that each may have at any time. No
	// stream can take another's, so that a stream whose replies are not read slows itself.
	maxExtra = 8
	// maxBatches is how many requests of one stream are at work.
	maxBatches = 4
)

// room is where streams and their requests find a place. It bounds what they hold in memory: a stream has a request
// that it waits with, and one at work; each is small (maxReceive, maxCommands).
type room struct {
	streams *rpc.Streams
	extra   chan struct{} // holds a token for each request that is at work besides its stream's first
}

func newRoom() *room {
	return &room{extra: make(chan struct{}, maxExtra), streams: rpc.NewStreams(maxStreams, maxStreamsEach)}
}

// begin waits until one more request of a stream may be at work: the stream's own tokens are those of own. It returns
// nil when ctx ends first.
func (r *room) begin(ctx context.Context, own, all chan struct{}) (leave func()) {
	if !acquire(ctx, all) {
		return nil
	}
	select {
	case own <- struct{}{}:
		return func() { <-own; <-all }
	case r.extra <- struct{}{}:
		return func() { <-r.extra; <-all }
	case <-ctx.Done():
		<-all
		return nil
	}
}

// acquire takes one of the tokens that a channel holds room for, and reports whether it did before ctx ended.
func acquire(ctx context.Context, tokens chan struct{}) bool {
	select {
	case tokens <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
