package main

import (
	"sync"
	"time"

	"hosho/internal/inbox"
)

// forgottenAfter is how long it is known what became of an event that hung, for when it is given out again. One that is
// given out to another paymentd never comes here again.
const forgottenAfter = time.Minute

// hanging is the events whose charges the card network has not answered. They are kept on the broker, where they delay
// nobody, and come again every moment: the network is not asked anew meanwhile.
type hanging struct {
	mu      sync.Mutex
	events  map[string]*heard // by their facts and sends
	running sync.WaitGroup    // whoever waits for the network
}

func newHanging() *hanging { return &hanging{events: map[string]*heard{}} }

// add notes that an event hangs.
func (g *hanging) add(h *heard) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, other := range g.events {
		if !other.ended.IsZero() && time.Since(other.ended) > forgottenAfter {
			delete(g.events, key)
		}
	}
	h.hangs = true
	g.events[h.key] = h
}

// end notes what becomes of an event. It is said once of each.
func (g *hanging) end(h *heard, fate inbox.Fate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h.fate, h.ended = fate, time.Now()
}

// fate returns what has become of an event that hung when it was given out before. It is not known, and the event is to
// be decided, when that is 0.
func (g *hanging) fate(key string) inbox.Fate {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, known := g.events[key]
	switch {
	case !known:
		return 0
	case h.ended.IsZero():
		return inbox.Later
	}
	delete(g.events, key)
	if h.fate == inbox.Later {
		return 0
	}
	return h.fate
}
