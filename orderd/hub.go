package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

const (
	hubPoll    = time.Second      // wake-ups are hints, polling is the truth
	hubPause   = time.Millisecond // the least time between two queries
	hubTimeout = 5 * time.Second  // of one query
	// hubStep is how many orders are looked at before those are again that a wake-up has named.
	hubStep = 1000
)

// hub tells the watchers of this process what happens to their orders. Few queries serve all of them: of those orders
// that somebody begins to watch or a wake-up names, at once; and once a second, or when a wake-up names none, of all.
// Without watchers there is none. What a wake-up says is looked for among the orders that are watched, and no more is
// made of it.
type hub struct {
	store    *orderdb.Store
	log      *slog.Logger
	wanted   wait.Bell
	poll     func(usual time.Duration) time.Duration // how often to look by itself, at present
	stopping chan struct{}                           // closed when the server stops

	mu     sync.Mutex
	orders map[string]*watched // by order id; each has a watcher
	round  int                 // counts queries, so that a watcher can tell whether one began before it came
	named  []string            // are to be looked at next
	all    bool                // all are to be looked at

	left []string // of all, what has not been looked at; for the goroutine of run alone
}

// watched is an order that somebody watches.
type watched struct {
	seen  order.Status    // what those who know it were told last
	items bool            // some watcher wants them
	named bool            // it is among those that are looked at next
	know  watchers        // are told of changes alone, however many others begin to watch
	ask   map[watcher]int // are to be told how it is, by the query of that number at the earliest
}

// watcher hears of one order, from the hub, which holds its lock meanwhile: heard must not block. It reports whether
// there is nothing more to hear. Watchers are compared: each is itself.
type watcher interface {
	heard(news) (enough bool)
}

// news is a state of an order; or why there is none, for who has asked for one.
type news struct {
	order order.Order
	reply func() (rpc.Encoded, error) // for who watches; nil where nobody wants the items
	err   error
}

func newHub(store *orderdb.Store, log *slog.Logger) *hub {
	return &hub{
		store: store, log: log, orders: map[string]*watched{},
		wanted: wait.NewBell(), stopping: make(chan struct{}),
		poll: func(usual time.Duration) time.Duration { return usual },
	}
}

// stop ends every watcher with rpc.ErrStopping. It is called once.
func (h *hub) stop() { close(h.stopping) }

// wake asks for a query soon, of the orders whose ids it is given, between commas, or of all. It never blocks.
func (h *hub) wake(ids string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ids == "" {
		h.all = h.all || len(h.orders) > 0
		h.wanted.Ring()
		return
	}
	for id := range strings.SplitSeq(ids, ",") {
		h.name(id)
	}
}

// name has an order looked at soon, if it is watched.
func (h *hub) name(id string) {
	if h.mark(id) {
		h.wanted.Ring()
	}
}

// mark has an order among those that are looked at next, and reports whether it is new there.
func (h *hub) mark(id string) bool {
	o := h.orders[id]
	if o == nil || o.named {
		return false
	}
	o.named = true
	h.named = append(h.named, id)
	return true
}

// expect has a watcher hear of an order that is about to be placed, from the first change on, without its items.
func (h *hub) expect(id string, w watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.at(id)
	o.seen = order.Pending
	o.know.add(w)
}

// at returns what is watched of an order.
func (h *hub) at(id string) *watched {
	o := h.orders[id]
	if o == nil {
		o = &watched{}
		h.orders[id] = o
	}
	return o
}

// watch has a watcher hear how an order is, soon, then of each change; or that there is no such order. What a query
// says that began earlier is passed over: it may be older than what the watcher's client knows.
func (h *hub) watch(id string, w watcher, items bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.at(id)
	o.items = o.items || items
	if o.ask == nil {
		o.ask = map[watcher]int{}
	}
	o.ask[w] = h.round + 1
	h.name(id)
}

// forget is for a watcher that has not said that it has heard enough, and does nothing if it has.
func (h *hub) forget(id string, w watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.orders[id]; o != nil {
		o.know.remove(w)
		delete(o.ask, w)
		h.tidy(id, o)
	}
}

// tidy forgets an order that nobody watches any more.
func (h *hub) tidy(id string, o *watched) {
	if o.know.none() && len(o.ask) == 0 {
		delete(h.orders, id)
	}
}

// run keeps the watchers up to date until ctx ends. While the database is down they wait. Nothing wakes it when the
// pause after a query is over and there is nothing to look at.
func (h *hub) run(ctx context.Context) {
	behind, polled := false, time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		more, err := h.refresh(ctx)
		if failed := err != nil; failed != behind && ctx.Err() == nil {
			behind = failed
			h.log.Warn("watchers", "behind", behind, "error", err) // when it begins and ends, not each second
		}
		// At most half of the time goes into queries, however many orders are watched.
		ended := time.Now()
		next := ended.Add(max(hubPause, ended.Sub(began)))
		if !more || err != nil {
			polled = h.rest(ctx, polled)
		}
		wait.For(ctx, time.Until(next))
	}
}

// rest waits until there is something to look at, and returns when it has last been time for all.
func (h *hub) rest(ctx context.Context, polled time.Time) time.Time {
	poll := time.NewTimer(max(0, h.poll(hubPoll)-time.Since(polled)))
	defer poll.Stop()
	select {
	case <-ctx.Done():
	case <-h.wanted:
	case <-poll.C:
		polled = time.Now()
		h.wake("")
	}
	return polled
}
