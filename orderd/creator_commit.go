package main

import (
	"context"
	"time"

	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pg"
)

const (
	// withinReach is in what time the orders that are let in at once are placed.
	withinReach = 150 * time.Millisecond
	// fewest and most are how many are let in, however slow or fast they are placed, and first in the beginning.
	fewestAtOnce, firstAtOnce, mostAtOnce = 64, mostTogether, 4 * mostTogether
	smoothing                             = 8 // batches over which their pace is averaged
)

// commit places orders and tells what became of them. Whoever has gone by now is not served: nothing of his was begun.
func (c *creator) commit(all []placing) {
	live, news := make([]placing, 0, len(all)), make([]orderdb.NewOrder, 0, len(all))
	for _, p := range all {
		if err := p.over(); err != nil {
			c.tell(p, order.Order{}, false, err)
			continue
		}
		live, news = append(live, p), append(news, *p.order)
	}
	if len(live) == 0 {
		return
	}
	began := time.Now()
	placed, err := c.placeAll(news)
	if err != nil {
		for _, p := range live {
			c.tell(p, order.Order{}, false, err)
		}
		return
	}
	c.measure(len(live), time.Since(began))
	for i, p := range live {
		result := placed[i]
		if len(live) > 1 && pg.Classify(result.Err) == pg.Collision && c.apart(p) {
			continue
		}
		c.tell(p, result.Order, result.Fresh, result.Err)
	}
}

// placeAll places orders. No caller's context reaches it.
func (c *creator) placeAll(news []orderdb.NewOrder) ([]orderdb.Placed, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return c.store.PlaceAll(ctx, news)
}

// requestKey is what makes one order wait for another.
type requestKey struct{ customerID, requestID string }

func keyOf(p placing) requestKey { return requestKey{p.order.CustomerID, p.order.RequestID} }

// apart is alone for who does not have the lock.
func (c *creator) apart(p placing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alone(p)
}

// alone places an order by itself: it may have to wait for somebody. As long as it does, what has the same request id
// goes alone as well. One connection is left to the others; it returns false, and places nothing, when there is no
// other one. Its caller has the lock.
func (c *creator) alone(p placing) bool {
	if c.under+1 >= c.most {
		return false
	}
	c.under++
	key := keyOf(p)
	if key.requestID != "" {
		c.held[key]++
	}
	go func() {
		c.commit([]placing{p})
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.held[key]--; c.held[key] <= 0 {
			delete(c.held, key)
		}
		c.under--
		c.start()
	}()
	return true
}

// measure lets as many orders in as can be placed in time: more of them wait where they can be refused, and parties
// take turns. A batch that is small beside that says nothing: what it takes does not grow with it.
func (c *creator) measure(n int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n < c.slots/4 {
		return
	}
	each := max(took/time.Duration(n), 1)
	if c.each == 0 {
		c.each = each
	}
	c.each = max(c.each+(each-c.each)/smoothing, 1)
	c.slots = max(int(min(withinReach/c.each, mostAtOnce)), fewestAtOnce)
	c.lane.Resize(c.slots)
}
