package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
)

// taker is a watcher that is driven by hand: it takes what it is sent when the test does.
type taker struct {
	grpc.ServerStreamingServer[orderv1.WatchOrderResponse]
	ctx   context.Context
	taken chan *orderv1.WatchOrderResponse
}

func (s *taker) Context() context.Context { return s.ctx }

func (s *taker) SendMsg(m any) error {
	r := &orderv1.WatchOrderResponse{}
	if err := proto.Unmarshal(m.(rpc.Encoded), r); err != nil {
		return err
	}
	select {
	case s.taken <- r:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// watching has somebody watch an order, and returns the channel of what he is sent, of how it ends, and what makes him
// go.
func watching(
	t *testing.T, s *server, id string,
) (taken <-chan *orderv1.WatchOrderResponse, ended <-chan error, leave func()) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	client := &taker{ctx: ctx, taken: make(chan *orderv1.WatchOrderResponse)}
	result := make(chan error, 1)
	go func() { result <- s.WatchOrder(&orderv1.WatchOrderRequest{OrderId: id}, client) }()
	return client.taken, result, leave
}

// A client opens a watch and reads no change. It is ended, and nothing of it is left.
func TestAWatcherThatDoesNotReadIsEnded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.server(t)
	s.unreadTimeout = time.Millisecond
	o := f.place(t)
	taken, ended, _ := watching(t, s, o.ID)
	receive(t, "the present state", taken)
	o.Status = order.Cancelling
	s.hub.told(o)
	err := receive(t, "the watch is ended", ended)
	if !errors.Is(err, rpc.ErrRepliesUnread) {
		t.Errorf("got %v, want %v", err, rpc.ErrRepliesUnread)
	}
	wantError(t, toStatus(err), codes.ResourceExhausted, "REPLIES_UNREAD")
	if got := s.hub.count(); got != 0 {
		t.Errorf("got %d orders watched, want none", got)
	}
	if !s.unread.TryAcquire(maxUnread) {
		t.Error("what it left unread still counts")
	}
}

// Two may watch, or as many as leave so much unread. Another one is told to come later, and let in when one has gone.
func TestWatchersHaveACapOfTheirOwn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.place(t).ID
	for name, limit := range map[string]func(*server){
		"watchers": func(s *server) { s.lanes.watchers = admission.NewLane("watchers", 2) },
		"bytes":    func(s *server) { s.unread = semaphore.NewWeighted(300) }, // of messages of about 120
	} {
		s := f.server(t)
		limit(s)
		var leave func()
		for range 2 {
			var taken <-chan *orderv1.WatchOrderResponse
			taken, _, leave = watching(t, s, id)
			receive(t, name+": the present state", taken)
		}
		_, ended, _ := watching(t, s, id)
		wantOverloaded(t, toStatus(receive(t, name+": one too many is refused", ended)))
		if _, err := s.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: id}); err != nil {
			t.Errorf("%s: a read: %v", name, err)
		}
		leave()
		for in := false; !in; { // until what has left is gone
			taken, ended, _ := watching(t, s, id)
			select {
			case <-taken:
				in = true
			case err := <-ended:
				wantOverloaded(t, toStatus(err))
			case <-time.After(longWait):
				t.Fatalf("%s: nobody is let in after one has gone", name)
			}
		}
	}
}

// What a watcher was sent counts until it has gone: three states of its order.
func TestEachStateThatAWatcherIsSentCounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.place(t)
	s := f.server(t)
	s.unread = semaphore.NewWeighted(200)
	taken, ended, _ := watching(t, s, o.ID)
	receive(t, "the present state", taken)
	o.Status = order.Completed
	s.hub.told(o)
	wantOverloaded(t, toStatus(receive(t, "the second state is too much", ended)))
}

// told has the hub tell that an order has changed, as if a query had found that.
func (h *hub) told(o order.Order) {
	h.mu.Lock()
	round := h.round
	h.mu.Unlock()
	h.publish(round, orderdb.News{Orders: []order.Order{o}})
}
