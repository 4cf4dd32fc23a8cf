package main

import (
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
	"hosho/internal/pg"
)

const (
	maxWatchers = 20_000   // of all clients
	maxUnread   = 64 << 20 // bytes of messages that they may not have read: nothing tells who has
)

// lanes bound how many calls of each kind are at work. What has a lane has a connection: the slots are no more than the
// pools are large, less those of the wake-ups and of the hub. So nobody waits in a pool, and no kind of call waits for
// another: orders are cancelled while more are placed than can be.
type lanes struct{ create, cancel, read, watch *admission.Lane }

func newLanes(pools *pg.Pools) lanes {
	const wakers, hubs = 2, 1
	writes, reads := int(pools.Writes.Config().MaxConns), int(pools.Reads.Config().MaxConns)
	cancels := max(writes/5, 1)
	return lanes{
		create: admission.NewLane("create", writes-cancels-wakers),
		cancel: admission.NewLane("cancel", cancels),
		read:   admission.NewLane("read", reads-hubs),
		watch:  admission.NewLane("watch", maxWatchers),
	}
}

// of returns the lane of a method. A watch takes a slot of the reads for its first reading alone.
func (l lanes) of(method string) *admission.Lane {
	switch method {
	case orderv1.OrderService_CreateOrder_FullMethodName:
		return l.create
	case orderv1.OrderService_CancelOrder_FullMethodName:
		return l.cancel
	}
	return l.read
}
