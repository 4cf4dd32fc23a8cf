package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

const (
	hubPoll    = time.Second          // wake-ups are hints, polling is the truth
	hubPause   = 5 * time.Millisecond // the least time between two queries
	hubTimeout = 5 * time.Second      // of one query
)

// hub tells the watchers of this process what happens to their orders. Few queries serve all of them, when a wake-up
// says that orders have changed and once a second; without watchers there is none. A watcher that reads slowly skips
// statuses and holds up nobody.
type hub struct {
	store    *orderdb.Store
	log      *slog.Logger
	wanted   wait.Bell
	poll     func(usual time.Duration) time.Duration // how often to look by itself, at present
	stopping chan struct{}                           // closed when the server stops

	mu     sync.Mutex
	orders map[string]*watched // by order id; each has a watcher
}

// watched is an order that somebody watches.
type watched struct {
	seen     order.Status // what its watchers were told last, "" for nothing
	watchers map[watcher]struct{}
}

// watcher holds the latest state that was not taken yet. Only the hub's goroutine sends.
type watcher chan order.Order

func newHub(store *orderdb.Store, log *slog.Logger) *hub {
	return &hub{
		store: store, log: log, orders: map[string]*watched{},
		wanted: wait.NewBell(), stopping: make(chan struct{}),
		poll: func(usual time.Duration) time.Duration { return usual },
	}
}

// wake asks for a query soon. It never blocks.
func (h *hub) wake() { h.wanted.Ring() }

// stop ends every watcher with rpc.ErrStopping. It is called once.
func (h *hub) stop() { close(h.stopping) }

func (h *hub) watch(id string) watcher {
	w := make(watcher, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.orders[id] == nil {
		h.orders[id] = &watched{watchers: map[watcher]struct{}{}}
	}
	h.orders[id].watchers[w] = struct{}{}
	return w
}

func (h *hub) forget(id string, w watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.orders[id].watchers, w)
	if len(h.orders[id].watchers) == 0 {
		delete(h.orders, id)
	}
}

// next waits until the order is further than status. What the hub read before the watcher read by itself is older, and
// is passed over: the statuses decide that, not a clock.
func (h *hub) next(ctx context.Context, w watcher, status order.Status) (order.Order, error) {
	for {
		select {
		case o := <-w:
			if status.Before(o.Status) {
				return o, nil
			}
		case <-h.stopping:
			return order.Order{}, rpc.ErrStopping
		case <-ctx.Done():
			return order.Order{}, ctx.Err()
		}
	}
}

// run keeps the watchers up to date until ctx ends. While the database is down they wait.
func (h *hub) run(ctx context.Context) {
	behind := false
	for ctx.Err() == nil {
		began := time.Now()
		err := h.refresh(ctx)
		if failed := err != nil; failed != behind && ctx.Err() == nil {
			behind = failed
			h.log.Warn("watchers", "behind", behind, "error", err) // when it begins and ends, not each second
		}
		// At most half of the time goes into queries, however many orders are watched.
		wait.For(ctx, max(hubPause, time.Since(began)))
		select {
		case <-ctx.Done():
		case <-h.wanted:
		case <-time.After(h.poll(hubPoll)):
		}
	}
}

// refresh asks once for all orders that are watched, and tells their watchers.
func (h *hub) refresh(ctx context.Context) error {
	seen := h.seen()
	if len(seen) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	return h.store.Watched(ctx, seen, h.publish)
}

func (h *hub) seen() map[string]order.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := make(map[string]order.Status, len(h.orders))
	for id, w := range h.orders {
		seen[id] = w.seen
	}
	return seen
}

// publish replaces what a watcher has not taken yet, and so never waits for one.
func (h *hub) publish(orders []order.Order) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range orders {
		w := h.orders[o.ID]
		if w == nil {
			continue // the last watcher left while the query ran
		}
		w.seen = o.Status
		for watcher := range w.watchers {
			select {
			case <-watcher:
			default:
			}
			watcher <- o // has room: nobody else sends
		}
	}
}
