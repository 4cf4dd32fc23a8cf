// Package digest keeps what happens by the thousand from filling a log.
//
// Its promise: of each kind the first few in an interval are told by themselves, at once, and the others together when
// it is over; none is left out, none told twice, and however many kinds somebody makes up, few are kept.
package digest

import (
	"sync"
	"time"
)

// Interval is for how long the events of a kind are counted together.
const Interval = 10 * time.Second

// Config says what a Digest tells.
type Config[K comparable] struct {
	Own      int          // events of a kind that are told by themselves in an interval
	Together func(K, int) // tells of so many others; it is called by one goroutine at a time
	Most     int          // kinds at a time; 0: there are few anyway
	Rest     func(K) K    // what a kind is counted as where there are as many; needed with Most
}

// Digest counts events by their kind. New makes it.
type Digest[K comparable] struct {
	config Config[K]

	mu    sync.Mutex
	kinds map[K]*tally
}

type tally struct {
	told, untold int
	timer        *time.Timer // rings when the interval is over
}

// New makes a Digest; Stop ends it.
func New[K comparable](config Config[K]) *Digest[K] {
	return &Digest[K]{config: config, kinds: map[K]*tally{}}
}

// Tells notes an event, and reports whether it is to be told by itself.
func (d *Digest[K]) Tells(kind K) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.config.Most > 0 && d.kinds[kind] == nil && len(d.kinds) >= d.config.Most {
		kind = d.config.Rest(kind)
	}
	t := d.kinds[kind]
	if t == nil {
		t = &tally{}
		t.timer = time.AfterFunc(Interval, func() { d.interval(kind, t) })
		d.kinds[kind] = t
	}
	if t.told < d.config.Own {
		t.told++
		return true
	}
	t.untold++
	return false
}

// interval tells of a kind's events that were not told by themselves, and begins anew. A kind that had none is over.
func (d *Digest[K]) interval(kind K, t *tally) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.kinds[kind] != t: // stopped
	case t.untold == 0:
		delete(d.kinds, kind)
	default:
		d.config.Together(kind, t.untold)
		t.told, t.untold = 0, 0
		t.timer.Reset(Interval)
	}
}

// Stop tells what was not told yet. It is called after the last event.
func (d *Digest[K]) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for kind, t := range d.kinds {
		t.timer.Stop()
		if t.untold > 0 {
			d.config.Together(kind, t.untold)
		}
	}
	clear(d.kinds)
}
