// Package load is clients that place orders, repeat requests, cancel, and remember what they were told.
//
// Its promise: a client that gets no answer asks again with the same request_id, as real ones must, and what it was
// told is held against the database afterwards: an acknowledged order exists, statuses never went back, and an
// acknowledged cancellation is never followed by COMPLETED. These are the invariants that package rules lists for it.
package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rules"
)

// Config says what the clients do.
type Config struct {
	Orders  orderv1.OrderServiceClient
	Clients int
	Seed    uint64
	// CancelWithin is the span after the order in which some customers change their minds.
	CancelWithin time.Duration
	// Ordinary says that paymentd makes nothing special of any order's amount, when it simulates.
	Ordinary bool
}

// Load is clients at work.
type Load struct {
	config   Config
	accepted atomic.Int64

	mu    sync.Mutex
	worst time.Duration // from the first call until one was answered
	told  []*Told
	wrong []Contradiction // what contradicted itself at once
	grown chan struct{}
}

// Told is what one customer was told about one order.
type Told struct {
	OrderID   string
	Statuses  []orderv1.Order_Status // in the order in which they were seen
	Cancelled bool                   // a cancellation was acknowledged
}

// New makes clients; Run sets them to work.
func New(config Config) *Load {
	return &Load{config: config, grown: make(chan struct{})}
}

// Run works until ctx ends. An order that was begun is seen through in after, which ends later, so that what was asked
// is known to have been answered.
func (l *Load) Run(ctx, after context.Context) {
	var clients sync.WaitGroup
	for n := range l.config.Clients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(l.config.Seed, uint64(n)))
			for i := 0; ctx.Err() == nil; i++ {
				l.order(after, random, fmt.Sprint(Customer, n), fmt.Sprintf("%d-%d", l.config.Seed, i))
			}
		})
	}
	clients.Wait()
}

// Accepted returns how many orders were acknowledged so far.
func (l *Load) Accepted() int64 { return l.accepted.Load() }

// Slowest returns how long it took at worst until a write was acknowledged, all tries together.
func (l *Load) Slowest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.worst
}

// AwaitAccepted waits until at least n orders were acknowledged.
func (l *Load) AwaitAccepted(ctx context.Context, n int64) error {
	for {
		l.mu.Lock()
		grown := l.grown
		l.mu.Unlock()
		if l.Accepted() >= n {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return fmt.Errorf("got %d orders accepted, want %d: %w", l.Accepted(), n, ctx.Err())
		}
	}
}

func (l *Load) took(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.worst = max(l.worst, d)
}

func (l *Load) remember(told *Told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, told)
	l.accepted.Add(1)
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *Load) contradiction(rule rules.ID, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, Contradiction{Rule: rule, Detail: fmt.Sprintf(format, args...)})
}
