// Package batch does many things at once that cost little more than one: a transaction, a statement, a round trip.
//
// Its promise: a Gather loses nothing and hands out nothing twice, however many goroutines add to it, and whoever waits
// for its News hears of everything that was added. Bisect does everything that can be done: an item that fails takes
// none of the others along, and costs them a number of tries that grows with the logarithm of their number.
//
// The package knows neither databases nor messages. How large a batch gets is its user's to say: what is taken out of a
// Gather may be cut with slices.Chunk.
package batch

import (
	"sync"

	"hosho/internal/wait"
)

// Gather collects items that come one by one, from any goroutine, until somebody takes them all. NewGather makes it.
type Gather[T any] struct {
	news wait.Bell

	mu    sync.Mutex
	items []T
	usual int // how many were taken last: there will be as many again
}

// NewGather makes an empty Gather.
func NewGather[T any]() *Gather[T] {
	return &Gather[T]{news: wait.NewBell()}
}

// Add adds items at the end, and says so to whoever waits for News. It never blocks.
func (g *Gather[T]) Add(items ...T) {
	g.mu.Lock()
	if g.items == nil {
		g.items = make([]T, 0, max(len(items), g.usual))
	}
	g.items = append(g.items, items...)
	g.mu.Unlock()
	g.news.Ring()
}

// News is received from when something was added that was perhaps not taken yet. It is for one goroutine, which takes
// what is there each time: several Adds may be told once.
func (g *Gather[T]) News() <-chan struct{} { return g.news }

// Take takes all items out, in the order in which they were added. It returns nil when there are none.
func (g *Gather[T]) Take() []T {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := g.items
	g.items, g.usual = nil, len(taken)
	return taken
}
