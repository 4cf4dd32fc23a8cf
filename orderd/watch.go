package main

import (
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
)

// watchAgain is when who watches may try again, where too many do.
const watchAgain = 5 * time.Second

// WatchOrder streams an order's present state and then each change, until it is settled.
func (s *server) WatchOrder(
	r *orderv1.WatchOrderRequest, stream grpc.ServerStreamingServer[orderv1.WatchOrderResponse],
) error {
	ctx := stream.Context()
	id, of, err := fromNaming(ctx, r, r.CustomerId)
	if err != nil {
		return err
	}
	leave, err := s.lanes.watchers.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	told := s.telling(stream)
	defer told.end()
	w := newLatest()
	s.hub.watch(id, w, true)
	defer s.hub.forget(id, w)
	for known := order.Status(""); !known.Settled(); {
		n, err := w.next(ctx, s.hub, known)
		if err != nil {
			return err
		}
		if !of.Include(n.order.CustomerID) { // one query reads for all who watch
			return fmt.Errorf("watch order %s: %w", id, orderdb.ErrNotFound)
		}
		if err := told.send(n.reply); err != nil {
			return err
		}
		known = n.order.Status
	}
	return nil
}

// told is what a watcher was sent. As long as he watches it may be in this process's memory: gRPC takes a message that
// its client does not read, and does not tell.
type told struct {
	stream  grpc.ServerStreamingServer[orderv1.WatchOrderResponse]
	unread  *semaphore.Weighted
	timeout time.Duration
	bytes   int64
}

func (s *server) telling(stream grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) *told {
	return &told{stream: stream, unread: s.unread, timeout: s.unreadTimeout}
}

// send returns an *admission.Overloaded when watchers have been sent as much as they may leave unread, and
// rpc.ErrRepliesUnread when this one takes nothing any more.
func (t *told) send(encode func() (rpc.Encoded, error)) error {
	reply, err := encode()
	if err != nil {
		return err
	}
	size := int64(len(reply))
	if !t.unread.TryAcquire(size) {
		return &admission.Overloaded{Lane: "watchers", RetryAfter: watchAgain}
	}
	first := t.bytes == 0
	t.bytes += size
	if first { // gRPC takes one message of any size: it never stands, and needs no goroutine
		return t.stream.SendMsg(reply)
	}
	return rpc.SendWithin(t.timeout, func() error { return t.stream.SendMsg(reply) })
}

func (t *told) end() { t.unread.Release(t.bytes) }
