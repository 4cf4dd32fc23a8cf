package follow

import (
	"slices"
	"sync"
	"time"
)

// heldBack is how long things are held back for others that happened before: longer than a daemon takes to tell them.
const heldBack = 100 * time.Millisecond

// Order puts what comes from several daemons into the order in which it happened, by their clocks. Each thing is held
// back for a moment, in which an earlier one may come. What comes later than that is told late.
type Order[T any] struct {
	tell func(T)

	mu     sync.Mutex
	held   []held[T] // the earliest first
	waking bool      // somebody will look
}

type held[T any] struct {
	at   time.Time // when it happened, by somebody's clock
	came time.Time // by our own
	what T
}

// NewOrder makes an Order that calls tell for one thing after the other.
func NewOrder[T any](tell func(T)) *Order[T] { return &Order[T]{tell: tell} }

// Add has a thing be told in its turn.
func (o *Order[T]) Add(at time.Time, what T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	place, _ := slices.BinarySearchFunc(o.held, at, func(h held[T], at time.Time) int {
		if h.at.After(at) {
			return 1
		}
		return -1 // of the same time, the first one to come is the first
	})
	o.held = slices.Insert(o.held, place, held[T]{at, time.Now(), what})
	o.wake()
}

// Flush tells all that is held back.
func (o *Order[T]) Flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.release(len(o.held))
}

// wake has somebody look in time; o.mu is held.
func (o *Order[T]) wake() {
	if !o.waking && len(o.held) > 0 {
		o.waking = true
		time.AfterFunc(heldBack/4, o.look)
	}
}

// look tells what was held back long enough, and what happened before that.
func (o *Order[T]) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waking = false
	due := time.Now().Add(-heldBack)
	n := len(o.held)
	for n > 0 && o.held[n-1].came.After(due) {
		n--
	}
	o.release(n)
	o.wake()
}

// release tells the first ones; o.mu is held.
func (o *Order[T]) release(n int) {
	for _, h := range o.held[:n] {
		o.tell(h.what)
	}
	o.held = slices.Delete(o.held, 0, n)
}
