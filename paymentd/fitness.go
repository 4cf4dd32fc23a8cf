package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"hosho/internal/pg"
)

// restAfter is how long nothing is fetched after the database was found to be away.
const restAfter = time.Second

// fitness is whether there is any use in fetching events. While the database is away there is none: they stay on the
// broker, and are nobody's fault.
type fitness struct {
	known  chan struct{} // closed when readiness was answered for the first time
	once   sync.Once
	mu     sync.Mutex
	latest error // what readiness was answered last
	fault  error // what was found in between
	until  time.Time
}

func newFitness() *fitness { return &fitness{known: make(chan struct{})} }

// remember returns the readiness that a server asks for again and again, whose last answer is remembered.
func (f *fitness) remember(ready func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := ready(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.latest = err
		f.once.Do(func() { close(f.known) })
		return err
	}
}

// note takes an error that a command was answered: when it is the database that is away, the others wait.
func (f *fitness) note(err error) {
	switch pg.Classify(err) {
	case pg.Unreachable, pg.Misconfigured, pg.Exhausted:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.fault, f.until = err, time.Now().Add(restAfter)
	}
}

// await waits until readiness was answered for the first time, or ctx ends.
func (f *fitness) await(ctx context.Context) {
	select {
	case <-f.known:
	case <-ctx.Done():
	}
}

// check returns why nothing is to be fetched; nil: it is.
func (f *fitness) check(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.latest != nil:
		return fmt.Errorf("the database is not ready: %w", f.latest)
	case time.Now().Before(f.until):
		return fmt.Errorf("the database was away a moment ago: %w", f.fault)
	}
	return nil
}
