// Package crew has goroutines do one thing after the other: what every statement and every message begins.
//
// Its promise: what is given to Go begins at once, in a goroutine of its own, as with a go statement. A new goroutine
// has a small stack, which is copied several times before it has sent a statement, to be thrown away right after. One
// of the crew has a stack that has grown.
package crew

import "sync"

// most is how many wait for something to do. When more are at work at a time, the others end afterwards.
const most = 64

var (
	mu   sync.Mutex
	idle []hand // the last one has worked last
)

// hand is one that waits to be told what to do.
type hand chan func()

// Go runs f in another goroutine.
func Go(f func()) {
	if h := take(); h != nil {
		h <- f
		return
	}
	go make(hand, 1).work(f)
}

func take() hand {
	mu.Lock()
	defer mu.Unlock()
	last := len(idle) - 1
	if last < 0 {
		return nil
	}
	h := idle[last]
	idle = idle[:last]
	return h
}

func (h hand) work(f func()) {
	for f(); h.waits(); f() {
		f = <-h
	}
}

// waits reports whether there is room for one more that waits.
func (h hand) waits() bool {
	mu.Lock()
	defer mu.Unlock()
	if len(idle) >= most {
		return false
	}
	idle = append(idle, h)
	return true
}
