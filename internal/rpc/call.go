package rpc

import (
	"context"
	"sync/atomic"
	"time"

	"hosho/internal/admission"
)

// call is what the door notes of a call, in its context, and what the call has as long as it lasts.
type call struct {
	arrived time.Time
	late    *time.Timer // ends a stream whose request does not come

	room     *room
	arriving *arriving
	request  *request    // on its way; nil where it does not count
	forget   func() bool // has the end of the context give nothing back any more; reports whether it has not

	// reserved gives a slot back that the call has had since its headers came; nil when it has none, or is at work.
	reserved atomic.Pointer[func()]
	leave    func() // gives back the slot of a unary call; nil when it has none any more
}

type callKey struct{}

// callOf returns what the door noted.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{arrived: time.Now()} // of a test that has no door
}

// enterRoom takes a place. All that the call has is given back when ctx ends, as it does with the call: its request may
// never come, and no handler ever hear of it. gRPC never ends the context of a call which is refused.
func (c *call) enterRoom(ctx context.Context, room *room) {
	c.room = room
	room.taken.Add(1)
	c.forget = context.AfterFunc(ctx, c.over)
}

// handled gives back at a handler's end what the call has, and not at the end of its context, which would take a
// goroutine of its own.
func (c *call) handled() (over func()) {
	if c.forget != nil && c.forget() {
		return c.over
	}
	return func() {}
}

func (c *call) over() {
	c.unreserve()
	c.there()
	c.room.taken.Add(-1)
}

// reserve takes a slot for the call where its lane gives one at the door.
func (c *call) reserve(lane *admission.Lane, party any) error {
	leave, err := lane.Reserve(party)
	if leave != nil {
		c.reserved.Store(&leave)
	}
	return err
}

// enter waits for a slot, if the call has none.
func (c *call) enter(ctx context.Context, lane *admission.Lane) (leave func(), err error) {
	if reserved := c.reserved.Swap(nil); reserved != nil {
		return *reserved, nil
	}
	return lane.Enter(ctx)
}

// unreserve gives the slot back that was reserved, unless the call is at work with it.
func (c *call) unreserve() {
	if reserved := c.reserved.Swap(nil); reserved != nil {
		(*reserved)()
	}
}

// LeaveLane gives a unary call's slot in its lane back before the call is answered: its work is done, and it waits for
// somebody else's. It is for the handler's own goroutine.
func LeaveLane(ctx context.Context) { callOf(ctx).left() }

func (c *call) left() {
	if c.leave != nil {
		c.leave()
		c.leave = nil
	}
}

// awaited ends a stream whose one request takes too long to come. The stream itself may take as long as it likes.
func (c *call) awaited(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	c.late = time.AfterFunc(timeout, cancel)
	return ctx, cancel
}

// came notes that a call's request is there.
func (c *call) came() {
	if c.late != nil {
		c.late.Stop()
	}
	c.there()
}

func (c *call) there() {
	if c.request != nil {
		c.arriving.leave(c.request)
	}
}
