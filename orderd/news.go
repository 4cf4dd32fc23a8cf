package main

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
)

// refresh asks once for the orders that are to be looked at, or for as many as one step is, tells their watchers, and
// reports whether there are more to look at. When that fails, whoever has asked for the present state is told so.
func (h *hub) refresh(ctx context.Context) (more bool, err error) {
	whole, brief, round := h.next()
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	tell := func(n orderdb.News) { h.publish(round, n) }
	if err = h.store.Progress(ctx, brief, tell); err == nil {
		err = h.store.Watched(ctx, whole, tell)
	}
	if err != nil {
		h.fail(round, whole, err)
		h.fail(round, brief, err)
	}
	return len(h.left) > 0, err
}

// next returns what to look at, with items and without, and which query that is.
func (h *hub) next() (whole, brief []orderdb.Seen, round int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all && len(h.left) == 0 {
		h.all = false
		for id := range h.orders {
			h.left = append(h.left, id)
		}
	}
	step := min(len(h.left), hubStep)
	for _, id := range h.left[:step] {
		h.mark(id)
	}
	h.left = h.left[step:]
	for _, id := range h.named {
		o := h.orders[id]
		if o == nil || !o.named {
			continue // its last watcher has left; another may have come
		}
		o.named = false
		seen := orderdb.Seen{ID: id, Status: o.seen}
		if len(o.ask) > 0 {
			seen.Status = "" // it is told of whatever its status is
		}
		if o.items {
			whole = append(whole, seen)
		} else {
			brief = append(brief, seen)
		}
	}
	h.named = h.named[:0]
	h.round++
	return whole, brief, h.round
}

// publish tells watchers what a query has found.
func (h *hub) publish(round int, found orderdb.News) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range found.Orders {
		if w := h.orders[o.ID]; w != nil {
			n := news{order: o}
			if w.items {
				n.reply = replyOf(o)
			}
			w.hear(round, n)
			h.tidy(o.ID, w)
		}
	}
	for _, id := range found.Missing {
		h.failOne(round, id, orderdb.ErrNotFound)
	}
}

// hear tells an order's state to those who know another, and to those who had asked when the query began.
func (o *watched) hear(round int, n news) {
	if o.seen != n.order.Status {
		o.seen = n.order.Status
		for w := range o.know.all {
			if w.heard(n) {
				o.know.remove(w)
			}
		}
	}
	for w, first := range o.ask {
		if first > round {
			continue
		}
		delete(o.ask, w)
		if !w.heard(n) {
			o.know.add(w)
		}
	}
}

// fail tells those who have asked how their orders are that it cannot be told.
func (h *hub) fail(round int, seen []orderdb.Seen, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range seen {
		h.failOne(round, one.ID, err)
	}
}

func (h *hub) failOne(round int, id string, err error) {
	o := h.orders[id]
	if o == nil {
		return
	}
	for w, first := range o.ask {
		if first <= round && w.heard(news{err: err}) {
			delete(o.ask, w)
		}
	}
	h.tidy(id, o)
}

// latest is a watcher that waits. It holds the latest news that was not taken yet, and skips statuses when it is slow.
type latest chan news

func newLatest() latest { return make(latest, 1) }

func (l latest) heard(n news) bool {
	select {
	case <-l:
	default:
	}
	l <- n // has room: nobody else sends
	return n.err != nil
}

// next waits until the order is further than a status.
func (l latest) next(ctx context.Context, h *hub, known order.Status) (news, error) {
	for {
		select {
		case n := <-l:
			if n.err != nil || known.Before(n.order.Status) {
				return n, n.err
			}
		case <-h.stopping:
			return news{}, rpc.ErrStopping
		case <-ctx.Done():
			return news{}, ctx.Err()
		}
	}
}

// replyOf returns what those are told who watch an order. It is made once for all of them, when the first one asks.
func replyOf(o order.Order) func() (rpc.Encoded, error) {
	return sync.OnceValues(func() (rpc.Encoded, error) {
		return proto.Marshal(&orderv1.WatchOrderResponse{Order: toOrder(o)})
	})
}
