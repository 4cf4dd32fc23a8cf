// Package stage is what a system of `sagactl up` has for people to play with: orders at the press of a button, faults
// that end by themselves, and the twin, which gets the same orders the obvious way, in databases and with a paymentd of
// its own.
//
// Its promise: it acts on the system that it was given and on what it started itself, and on nothing else; whatever it
// breaks is whole again after a time, whatever happens meanwhile, and when the stage is closed; and until it is used it
// costs nothing but a hop on the way from the relays to paymentd.
package stage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hosho/internal/lab/stack"
)

// Lasts is how long a fault lasts where people watch.
const Lasts = 15 * time.Second

// Stage acts on a system and on its twin. It is safe for concurrent use.
type Stage struct {
	system *stack.Stack
	links  *Links
	lasts  time.Duration
	tell   func(string)

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	running  sync.WaitGroup // whatever is under way
	calls    chan struct{}  // a place for each order of the twin that is under way
	starting sync.Mutex     // held while the twin is made
	books    books

	mu     sync.Mutex // guards what follows
	right  *world     // hosho; nil until it is needed
	left   *world     // the twin; nil until it is needed
	taken  map[part]hold
	failed map[string]string // how a fault could not be undone, by its name
	scene  int               // which of the demo, from 0; while Scenes have all parts
}

// New makes a stage for a system whose relays reach paymentd over the links. Each fault lasts as long as is said. tell
// is told what goes wrong in the background.
func New(system *stack.Stack, links *Links, lasts time.Duration, tell func(string)) *Stage {
	s := &Stage{
		system: system, links: links, lasts: lasts, tell: tell,
		calls: make(chan struct{}, mostCalls), taken: map[part]hold{}, failed: map[string]string{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

var errClosed = errors.New("the system stops, and the stage with it")

// enter begins something that Close waits for. What it returns ends with ctx and with the stage. Meanwhile more may be
// begun in the background.
func (s *Stage) enter(ctx context.Context) (both context.Context, leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, nil, errClosed
	}
	s.running.Add(1)
	both, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return both, func() {
		stop()
		cancel()
		s.running.Done()
	}, nil
}

// Close ends what is under way, and the twin. What is broken is whole again, but for a daemon that was killed: the
// system stops after it. It may be called again.
func (s *Stage) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.Join(s.left.close(), s.right.close())
	s.left, s.right = nil, nil
	return err
}

// mostCalls is how many orders of the twin may be under way: one whose call hangs takes two seconds.
const mostCalls = 100

// Order places an order in both worlds, of an amount in JPY. It returns the id that it has in hosho as soon as it is
// accepted there; what becomes of it is seen in the books.
func (s *Stage) Order(ctx context.Context, amountMinor int64) (orderID string, err error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	right, left, err := s.worlds()
	if err != nil {
		return "", err
	}
	select {
	case s.calls <- struct{}{}:
	default:
		return "", fmt.Errorf("%d orders of the twin are under way: wait until some have ended", mostCalls)
	}
	orderID, err = right.saga.Order(ctx, "placed by button", amountMinor)
	if err != nil {
		<-s.calls
		return "", err
	}
	s.running.Go(func() {
		defer func() { <-s.calls }()
		s.complain(fmt.Sprintf("the twin's order of %d JPY", amountMinor), left.naive.Order(s.ctx, amountMinor))
	})
	return orderID, nil
}

// complain tells an error, unless it comes of the stage's end. It returns what it told.
func (s *Stage) complain(what string, err error) string {
	if err == nil || s.ctx.Err() != nil {
		return ""
	}
	text := what + ": " + err.Error()
	s.tell(text)
	return text
}
