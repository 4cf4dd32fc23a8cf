package main

import (
	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
	"hosho/internal/pg"
)

const (
	maxWatchers = 20_000 // who wait or watch, of all clients
	// maxUnread is how many bytes they may hold: messages that watchers may not have read, since nothing tells who has,
	// and the requests of those who wait.
	maxUnread = 64 << 20
)

// lanes bound how many calls of each kind are at work. What has a lane has a connection: where a pool has eight or
// more, the slots are no more than it has, less those of the wake-ups and of the hub. So nobody waits in a pool, and no
// kind of call waits for another: orders are cancelled while more are placed than can be, and single ones are read
// while somebody lists all of them. Orders that are placed share the creator's connections, many at a time: its lane
// has as many slots as it can place in time, and whoever comes when they are taken is refused at once.
type lanes struct {
	create, cancel *admission.Lane
	read, list     *admission.Lane
	watchers       *admission.Lane // of who waits or watches, whom the hub reads for
}

func newLanes(pools *pg.Pools) lanes {
	const hubs = 1
	reads := int(pools.Reads.Config().MaxConns)
	cancels, quarter := cancellers(pools), max(reads/4, 1)
	return lanes{
		create:   admission.NewLane("create", firstAtOnce).Impatient(),
		cancel:   admission.NewLane("cancel", cancels),
		read:     admission.NewLane("read", reads-quarter-hubs),
		list:     admission.NewLane("list", quarter),
		watchers: admission.NewLane("watchers", maxWatchers),
	}
}

// cancellers is how many connections are for cancelling.
func cancellers(pools *pg.Pools) int { return max(int(pools.Writes.Config().MaxConns)/3, 1) }

// creators is how many are for placing orders.
func creators(pools *pg.Pools) int {
	const wakers = 2
	return int(pools.Writes.Config().MaxConns) - cancellers(pools) - wakers
}

// of returns the lane of a method.
func (l lanes) of(method string) *admission.Lane {
	switch method {
	case orderv1.OrderService_CreateOrder_FullMethodName:
		return l.create
	case orderv1.OrderService_CancelOrder_FullMethodName:
		return l.cancel
	case orderv1.OrderService_ListOrders_FullMethodName:
		return l.list
	case orderv1.OrderService_WatchOrder_FullMethodName:
		return l.watchers
	case orderv1.OrderService_CreateOrders_FullMethodName:
		return nil // it is slowed, and refused by none
	case eventv1.EventService_WatchEvents_FullMethodName:
		return nil // it asks the database for nothing
	}
	return l.read
}
