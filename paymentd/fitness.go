package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hosho/internal/pg"
)

// restAfter is how long nothing is fetched after the database was found to be away.
const restAfter = time.Second

var errNotAsked = errors.New("nobody knows yet whether the database is ready")

// fitness is whether there is any use in fetching events. While the database is away there is none: they stay on the
// broker, and are nobody's fault.
type fitness struct {
	mu     sync.Mutex
	latest error // what readiness was answered last
	fault  error // what was found in between
	until  time.Time
}

func newFitness() *fitness { return &fitness{latest: errNotAsked} }

// remember returns the readiness that a server asks for again and again, whose last answer is remembered.
func (f *fitness) remember(ready func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := ready(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.latest = err
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
