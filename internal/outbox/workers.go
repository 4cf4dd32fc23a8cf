package outbox

import (
	"context"
	"log/slog"
	"sync"
)

// Workers work on one outbox together, each on a kind of message of its own. No kind is kept by another from being
// delivered: its breaker, its retry budget and the room for what is in flight are its own.
type Workers []*Worker

// NewWorkers makes a worker for each kind; Run makes them work.
func NewWorkers(config Config, queue *Queue, handler Handler, log *slog.Logger, kinds ...string) Workers {
	var all Workers
	for _, kind := range kinds {
		all = append(all, NewWorker(config, queue.Of(kind), handler, log.With("kind", kind)))
	}
	for _, w := range all {
		w.more = all.Wake // what comes of a message of one kind may be one of another
	}
	return all
}

// Wake tells the workers that something may be due. It never blocks.
func (all Workers) Wake() {
	for _, w := range all {
		w.Wake()
	}
}

// Run works until ctx ends, and returns when each of them has stopped; see Worker.Run.
func (all Workers) Run(ctx context.Context) {
	var working sync.WaitGroup
	for _, w := range all {
		working.Go(func() { w.Run(ctx) })
	}
	working.Wait()
}
