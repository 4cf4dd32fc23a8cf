package outbox

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Workers work on one outbox together, each on a kind of message of its own. No kind is kept by another from being
// delivered: its breaker, its retry budget and the room for what is in flight are its own.
type Workers []*Worker

// NewWorkers makes a worker for each kind; Run makes them work.
func NewWorkers(
	config Config, pool *pgxpool.Pool, table Table, handler Handler, log *slog.Logger, kinds ...string,
) Workers {
	var all Workers
	for _, kind := range kinds {
		queue := NewQueue(pool, table, kind, config.Lease)
		all = append(all, NewWorker(config, queue, handler, log.With("kind", kind)))
	}
	for _, w := range all {
		w.others = all // what comes of a message of one kind may be one of another
	}
	return all
}

// Wake tells the workers that something may be due. It never blocks.
func (all Workers) Wake() {
	for _, w := range all {
		w.Wake()
	}
}

// Hear is Wake for a wake-up that says what it is about: the kinds of messages, with commas between. "" says nothing,
// and a word that means no kind here may be one of a later version: then it may be about any of them. One that tells of
// a look wakes nobody.
func (all Workers) Hear(kinds string) {
	if kinds == looked {
		all[0].looked.Ring()
		return
	}
	for kind := range strings.SplitSeq(kinds, ",") {
		at := slices.IndexFunc(all, func(w *Worker) bool { return w.queue.kind == kind })
		if at < 0 {
			all.Wake()
			return
		}
		all[at].Wake()
	}
}

// BreakerOpen reports whether a kind of message is taken to be undeliverable at present.
func (all Workers) BreakerOpen(kind string) bool {
	for _, w := range all {
		if w.queue.kind == kind {
			return w.breaker.Open()
		}
	}
	return false
}

// Run works until ctx ends, and returns when each of them has stopped; see Worker.Run.
func (all Workers) Run(ctx context.Context) {
	var looking, working sync.WaitGroup
	looking.Go(func() { all.lookLoop(ctx) })
	for _, w := range all {
		working.Go(func() { w.run(ctx, &looking) })
	}
	working.Wait()
}
