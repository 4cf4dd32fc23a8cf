package main

import (
	"golang.org/x/sync/semaphore"

	"hosho/internal/rpc"
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
	streams *rpc.Streams
	placing *semaphore.Weighted // holds one for each order that is being placed
}

func newRoom() *room {
	return &room{placing: semaphore.NewWeighted(maxPlacing), streams: rpc.NewStreams(maxStreams, maxStreamsEach)}
}
