// Package crew has goroutines do one thing after the other: what every statement and every message begins.
//
// Its promise: what is given to Go begins at once, in a goroutine of its own, as with a go statement. A new goroutine
// has a small stack, which is copied several times before it has sent a statement, to be thrown away right after. One
// of the crew has a stack that has grown.
package crew

import (
	"slices"
	"sync"
	"time"
)

// most is how many wait for something to do. When more are at work at a time, the others end afterwards.
const most = 64

// unneeded is how long one waits for nothing before it ends: a process that rests holds no more than when it began.
const unneeded = time.Second

// crew are those that wait, and the look at them that is to come.
type crew struct {
	mu     sync.Mutex
	idle   []hand // the last one has worked last
	fewest int    // of those that waited at a time since the last look: so many were not needed
	looks  bool
}

// hand is one that waits to be told what to do, until it is closed.
type hand chan func()

var all crew

// Go runs f in another goroutine.
func Go(f func()) { all.run(f) }

func (c *crew) run(f func()) {
	if h := c.take(); h != nil {
		h <- f
		return
	}
	go c.work(make(hand, 1), f)
}

func (c *crew) take() hand {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.idle) - 1
	if last < 0 {
		return nil
	}
	h := c.idle[last]
	c.idle = c.idle[:last]
	c.fewest = min(c.fewest, last)
	return h
}

func (c *crew) work(h hand, f func()) {
	for f(); c.wait(h); f() {
		if f = <-h; f == nil {
			return
		}
	}
}

// wait has one wait, and reports whether there is room for it.
func (c *crew) wait(h hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) >= most {
		return false
	}
	c.idle = append(c.idle, h)
	if !c.looks {
		c.look()
	}
	return true
}

// look begins another second, after which those end that were not needed in it. Where nobody waits nobody looks.
func (c *crew) look() {
	c.fewest = len(c.idle)
	if c.looks = c.fewest > 0; c.looks {
		time.AfterFunc(unneeded, c.dismiss)
	}
}

func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.idle[:c.fewest] {
		close(h)
	}
	c.idle = slices.Delete(c.idle, 0, c.fewest)
	c.look()
}
