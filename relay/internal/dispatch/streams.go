package dispatch

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// streams are the stream that takes commands, and those that were left. It is left for another one when it is old, so
// that it never lasts as long as its connection may, and when nothing comes over it. Another is opened in the
// background: that may take longer than a command may, and commands wait for it no longer than that.
type streams struct {
	peer   *acquaintance
	memory *memory
	config Config
	ctx    context.Context // ends with the Dispatcher

	mu      sync.Mutex
	current *stream  // nil until the first one is open
	opening *opening // nil when none is being opened
	left    []*stream
}

// opening is a stream that is being opened.
type opening struct {
	done chan struct{}
	err  error
}

// take returns the stream that takes commands, once it is known who is at the other end, and who that is. It waits
// until ctx ends.
func (l *streams) take(ctx context.Context) (*stream, *known, error) {
	for {
		s, k, next := l.ready()
		if s != nil {
			return s, k, nil
		}
		select {
		case <-next.done:
			if next.err != nil {
				return nil, nil, next.err
			}
		case <-ctx.Done():
			return nil, nil, errSilentPeer
		}
	}
}

// ready returns the stream that takes commands, if there is one, and sees to it that another is opened when there is
// none, or when it is old.
func (l *streams) ready() (*stream, *known, *opening) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.peer.current()
	usable := l.reaches(k)
	if !usable || time.Now().After(l.current.until) {
		l.open()
	}
	if usable {
		return l.current, k, nil
	}
	return nil, nil, l.opening
}

// reaches reports whether the current stream should be used for a paymentd. The caller holds l.mu.
func (l *streams) reaches(k *known) bool {
	return k != nil && l.current != nil && l.current.usable() && l.current.database == k.Database
}

// open has a stream opened, unless one is. The caller holds l.mu.
func (l *streams) open() {
	if l.opening != nil {
		return
	}
	o := &opening{done: make(chan struct{})}
	l.opening = o
	go func() {
		defer close(o.done)
		s, err := l.next()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.opening, o.err = nil, err
		switch {
		case s != nil:
			l.follow(s)
		case l.current != nil:
			l.current.until = time.Now().Add(askPause) // it serves for as long as no other can be had
		}
	}()
}

// next opens a stream, or returns none when the current one is found to be right.
func (l *streams) next() (*stream, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.config.patience())
	defer cancel()
	k := l.peer.latest()
	if k == nil {
		var err error
		if k, err = l.peer.ask(ctx); err != nil {
			return nil, err
		}
		l.mu.Lock()
		right := l.reaches(k)
		l.mu.Unlock()
		if right {
			return nil, nil
		}
	}
	return l.openTo(ctx, k.Database)
}

// follow makes a stream the current one, and leaves the one before. The caller holds l.mu.
func (l *streams) follow(s *stream) {
	s.until = time.Now().Add(time.Duration((0.9 + 0.2*rand.Float64()) * float64(l.config.renew())))
	before := l.current
	l.current = s
	if before == nil {
		return
	}
	before.leave()
	l.left = slices.DeleteFunc(l.left, func(s *stream) bool { return s.hasEnded() })
	if l.left = append(l.left, before); len(l.left) > mostLeft {
		l.left[0].stopListening()
		l.left = l.left[1:]
	}
}

// mostLeft is how many streams that were left are listened to.
const mostLeft = 2
