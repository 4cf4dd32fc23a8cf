package console

import (
	"context"
	"sync"
)

// audience is who looks at the live page at present.
type audience struct {
	mu      sync.Mutex
	all     int
	changed chan struct{} // closed when the first one comes
}

func newAudience() *audience { return &audience{changed: make(chan struct{})} }

// begin has somebody look, until end is called.
func (l *audience) begin() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all++; l.all == 1 {
		close(l.changed)
	}
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.all--; l.all == 0 {
			l.changed = make(chan struct{})
		}
	})
}

// await waits until somebody looks, and reports whether that is before ctx ends.
func (l *audience) await(ctx context.Context) bool {
	l.mu.Lock()
	changed := l.changed
	l.mu.Unlock()
	select {
	case <-changed:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
