// Package shelf is what the subscriptions of all brokers have in common: events that somebody could not deal with yet
// are kept for a moment, and given out again before new ones.
//
// Its promise: an event is with one holder at a time, or on the shelf, until it is done. What is on the shelf is still
// held as far as the broker knows. While it is full, nothing new is fetched.
package shelf

import (
	"context"
	"sync"
	"time"

	"hosho/internal/broker"
)

// Item is an event, and what the broker's client knows it by.
type Item[M any] struct {
	Event   broker.Event
	Message M

	due time.Time
}

// Source is a broker's own part of a subscription. It is asked by one goroutine at a time but for Settle.
type Source[M any] interface {
	// Pull returns up to n events that are there, and waits for the first until ctx ends, which is no error. What it
	// took from the broker and does not return, it returns the next time. It is asked for one alone when somebody
	// wants to hold no other.
	Pull(ctx context.Context, n int) ([]Item[M], error)
	// Settle tells the broker that events are done.
	Settle(done []M)
	// Close gives back what is held, and tells what lies on the shelf.
	Close(kept []M)
}

// Subscription is a broker.Subscription on a Source.
type Subscription[M any] struct {
	source  Source[M]
	pulling chan struct{} // holds a token while nobody asks the source
	stop    context.CancelFunc
	ended   context.Context
	closing sync.Once

	mu     sync.Mutex
	kept   []Item[M]     // those kept first are due first
	fuller chan struct{} // closed when something is kept
}

// New makes one.
func New[M any](source Source[M]) *Subscription[M] {
	s := &Subscription[M]{source: source, pulling: make(chan struct{}, 1), fuller: make(chan struct{})}
	s.pulling <- struct{}{}
	s.ended, s.stop = context.WithCancel(context.Background())
	return s
}

// Fetch is broker.Subscription's.
func (s *Subscription[M]) Fetch(ctx context.Context, n int) (broker.Batch, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ended, cancel)()
	select {
	case <-ctx.Done():
		return broker.Batch{}, ctx.Err()
	case <-s.pulling:
	}
	defer func() { s.pulling <- struct{}{} }()
	for ctx.Err() == nil {
		items := s.take(n)
		if rest := n - len(items); rest > 0 && s.hasRoom() && (n == 1 || rest > 1) { // to ask for one alone is careful
			fresh, err := s.pull(ctx, rest, len(items) == 0)
			if items = append(items, fresh...); err != nil && len(items) == 0 {
				return broker.Batch{}, err
			}
		} else if len(items) == 0 {
			s.wait(ctx)
		}
		if len(items) > 0 {
			return s.batch(items), nil
		}
	}
	return broker.Batch{}, ctx.Err()
}

// pull asks the source. It waits no longer than until something that is kept is due.
func (s *Subscription[M]) pull(ctx context.Context, n int, waiting bool) ([]Item[M], error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !waiting {
		cancel()
		return s.source.Pull(ctx, n)
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		defer cancel()
		s.wait(ctx)
	})
	return s.source.Pull(ctx, n)
}

// wait ends when something that is kept is due, or with ctx.
func (s *Subscription[M]) wait(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		fuller, first := s.fuller, time.Duration(-1)
		if len(s.kept) > 0 {
			first = max(time.Until(s.kept[0].due), 0)
		}
		s.mu.Unlock()
		if first < 0 {
			select {
			case <-ctx.Done():
			case <-fuller:
			}
			continue
		}
		timer := time.NewTimer(first)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		return
	}
}

// take returns what is due.
func (s *Subscription[M]) take(n int) []Item[M] {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, due := time.Now(), 0
	for due < min(n, len(s.kept)) && !s.kept[due].due.After(now) {
		due++
	}
	items := append([]Item[M](nil), s.kept[:due]...)
	s.kept = append([]Item[M](nil), s.kept[due:]...)
	return items
}

func (s *Subscription[M]) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept) < broker.MostKept
}

func (s *Subscription[M]) batch(items []Item[M]) broker.Batch {
	events := make([]broker.Event, len(items))
	for i := range items {
		events[i] = items[i].Event
	}
	return broker.Batch{Events: events, Done: func(ok []bool) {
		var done []M
		var kept []Item[M]
		for i := range items {
			if ok[i] {
				done = append(done, items[i].Message)
				continue
			}
			kept = append(kept, items[i])
		}
		s.keep(kept)
		if len(done) > 0 {
			s.source.Settle(done)
		}
	}}
}

func (s *Subscription[M]) keep(items []Item[M]) {
	if len(items) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	due := time.Now().Add(broker.KeepFor)
	for i := range items {
		items[i].due = due
	}
	s.kept = append(s.kept, items...)
	close(s.fuller)
	s.fuller = make(chan struct{})
}

// Drop forgets what is kept and held by nobody here any more.
func (s *Subscription[M]) Drop(gone func(M) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []Item[M]
	for _, item := range s.kept {
		if !gone(item.Message) {
			left = append(left, item)
		}
	}
	s.kept = left
}

// Close is broker.Subscription's.
func (s *Subscription[M]) Close() {
	s.closing.Do(func() {
		s.stop()
		<-s.pulling // nobody asks the source any more
		s.mu.Lock()
		kept := make([]M, len(s.kept))
		for i := range s.kept {
			kept[i] = s.kept[i].Message
		}
		s.kept = nil
		s.mu.Unlock()
		s.source.Close(kept)
	})
}
