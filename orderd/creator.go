package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"hosho/internal/admission"
	"hosho/internal/crew"
	"hosho/internal/events"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
)

const (
	mostTogether = 500 // orders in a statement
	// lateAfter is how long a batch may take before the next one stops waiting for it, because somebody has something
	// of it locked. A large one, where the database is slow, may take so many times as long as it should.
	lateAfter, lateBy = 100 * time.Millisecond, 4
)

// creator places orders. Those that come while a commit is under way are committed together next: a statement for many
// costs little more than one for one. There is one who creates, and it waits for nothing but that commit: an order that
// comes alone goes alone, at once.
//
// Each order has an outcome of its own, whatever it is committed with. One whose request id somebody else is about to
// use goes alone, beside the others, and stops none of them.
type creator struct {
	store *orderdb.Store
	lane  *admission.Lane // that orders come through, or nil
	most  int             // statements under way at a time, each of which has a connection

	metrics *metrics
	events  *events.Log

	mu       sync.Mutex
	waiting  []placing
	creating bool               // a batch is under way, and the next one waits for it
	stuck    bool               // no connection was free lately: what waits is refused before long
	under    int                // statements under way
	held     map[requestKey]int // what goes alone, and how often
	each     time.Duration      // what an order takes of its batch's time, as a moving average
	slots    int                // of the lane
}

func newCreator(
	store *orderdb.Store, lane *admission.Lane, connections int, metrics *metrics, log *events.Log,
) *creator {
	return &creator{
		store: store, lane: lane, most: max(connections, 1), held: map[requestKey]int{},
		slots: firstAtOnce, metrics: metrics, events: log,
	}
}

// placing is an order to be placed, and who is told what became of it.
type placing struct {
	order *orderdb.NewOrder
	who   customer
	// ctx is that of whoever waits: when it has ended, the order is not begun any more. Nil: it is in any case.
	ctx context.Context
}

// customer is told once, with what Place of a Store returns, by whoever has that: placed must not block.
type customer interface {
	placed(o order.Order, fresh bool, err error)
}

func (p placing) over() error {
	if p.ctx == nil {
		return nil
	}
	return p.ctx.Err()
}

// place places an order and waits for what becomes of it, as Place of a Store does. When ctx ends before that is known
// the order may have been placed, or may still be: that is pg.ErrCommitUnknown, and its request id finds it.
func (c *creator) place(ctx context.Context, n orderdb.NewOrder) (order.Order, bool, error) {
	told := make(caller, 1) // nobody may be waiting any more
	c.add(placing{order: &n, ctx: ctx, who: told})
	select {
	case o := <-told:
		return o.order, o.fresh, o.err
	case <-ctx.Done():
		return order.Order{}, false, fmt.Errorf("%w: %w", pg.ErrCommitUnknown, context.Cause(ctx))
	}
}

// caller waits for what becomes of one order.
type caller chan outcome

type outcome struct {
	order order.Order
	fresh bool
	err   error
}

func (c caller) placed(o order.Order, fresh bool, err error) { c <- outcome{o, fresh, err} }

// add has orders placed. It never blocks.
func (c *creator) add(all ...placing) {
	var refused []placing
	c.mu.Lock()
	c.waiting = slices.Grow(c.waiting, len(all))
	for _, p := range all {
		switch {
		case c.held[keyOf(p)] == 0:
			c.waiting = append(c.waiting, p)
		case !c.alone(p):
			refused = append(refused, p)
		}
	}
	c.start()
	c.mu.Unlock()
	c.refuse(refused)
}

// tell tells what became of an order, and notes it: that there is a new one also where nobody waits for it any more.
func (c *creator) tell(p placing, o order.Order, fresh bool, err error) {
	c.metrics.placed(fresh, err)
	if fresh && err == nil {
		c.events.Order(p.order.Traceparent, accepted(o))
	}
	p.who.placed(o, fresh, err)
}

// batch is orders that are placed together.
type batch struct {
	orders []placing
	late   bool // the next one does not wait for it any more
	ended  bool
}

// start has a batch placed if none is, and there is something to place and a connection. Where all stand, nobody waits
// for one for long: what was not begun is refused. Its caller has the lock.
func (c *creator) start() {
	if c.creating || len(c.waiting) == 0 {
		return
	}
	if c.under >= c.most {
		if !c.stuck {
			c.stuck = true
			time.AfterFunc(lateAfter, c.giveUp)
		}
		return
	}
	c.creating = true
	c.under++
	first := c.take()
	crew.Go(func() {
		for b := first; b != nil; b = c.next(b) {
			c.run(b)
		}
	})
}

// giveUp refuses what waits, if there is still no connection for it.
func (c *creator) giveUp() {
	c.mu.Lock()
	c.stuck = false
	var refused []placing
	if !c.creating {
		refused, c.waiting = c.waiting, nil
	}
	c.mu.Unlock()
	c.refuse(refused)
}

// refuse has orders tried again later: nothing of them was begun.
func (c *creator) refuse(all []placing) {
	for _, p := range all {
		c.tell(p, order.Order{}, false, &admission.Overloaded{Lane: "create", RetryAfter: time.Second})
	}
}

// take takes the next batch out of what waits, nil when there is none: then nobody creates. Its caller has the lock.
func (c *creator) take() *batch {
	n := min(len(c.waiting), mostTogether)
	if n == 0 {
		c.waiting, c.creating = nil, false
		c.under--
		return nil
	}
	b := &batch{orders: c.waiting[:n:n]}
	c.waiting = c.waiting[n:]
	return b
}

// next is take after a batch. One that was late leaves it to who creates by now.
func (c *creator) next(after *batch) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	after.ended = true
	if after.late {
		c.under--
		c.start()
		return nil
	}
	return c.take()
}

// run places a batch, and has others go on when that takes long.
func (c *creator) run(b *batch) {
	c.mu.Lock()
	patience := lateAfter + lateBy*time.Duration(len(b.orders))*c.each
	c.mu.Unlock()
	watch := time.AfterFunc(patience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !b.ended {
			b.late, c.creating = true, false
			c.start()
		}
	})
	defer watch.Stop()
	c.commit(b.orders)
}
