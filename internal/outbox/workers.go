package outbox

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

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

// Changed is Wake for somebody who has appended or rescheduled messages: the next one may be due sooner than it was.
func (all Workers) Changed() {
	for _, w := range all {
		w.unsure.Store(true)
	}
	all.Wake()
}

// Hear is Wake for a wake-up that says what it is about, in words with commas between: kinds of messages, and what was
// written with a standing claim (TellingOf). "" says nothing, and a word that means nothing here may be one of a later
// version: then it may be about any message. One that tells of a look, or of a claim that was ended, wakes nobody.
func (all Workers) Hear(words string) {
	if words == looked {
		all[0].looked.Ring()
		return
	}
	for word := range strings.SplitSeq(words, ",") {
		if !all.hear(word) {
			all.Wake()
			return
		}
	}
}

// hear reports whether it knows what the word means.
func (all Workers) hear(word string) bool {
	if name, ok := strings.CutPrefix(word, gone+" "); ok {
		for _, w := range all {
			if w.keeping != nil && w.keeping.name == name {
				w.keeping.lost()
			}
		}
		return true
	}
	about, named := readNews(word)
	if !named {
		about.kind = word
	}
	at := slices.IndexFunc(all, func(w *Worker) bool { return w.queue.kind == about.kind })
	switch {
	case at < 0:
		return false
	case named:
		all[at].hear(about)
	default:
		all[at].Wake()
	}
	return true
}

// Health is how a worker's messages fare.
type Health struct {
	OpenSince time.Time // since when they are taken to be undeliverable; zero: they are not
	LastCode  string    // what its latest delivery came to; empty before the first
}

// Health returns how the messages of a kind fare with this process.
func (all Workers) Health(kind string) (h Health) {
	for _, w := range all {
		if w.queue.kind == kind {
			h.OpenSince = w.breaker.openSince(time.Now())
			w.mu.Lock()
			h.LastCode = w.lastCode
			w.mu.Unlock()
		}
	}
	return h
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
