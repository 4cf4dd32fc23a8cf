package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
)

// speaker is the client of a stream that is driven by hand: it is read when the server reads, and takes an event when
// the test does.
type speaker struct {
	grpc.BidiStreamingServer[orderv1.CreateOrdersRequest, orderv1.CreateOrdersResponse]
	ctx   context.Context
	says  chan *orderv1.CreateOrdersRequest // closed when it has sent its last request
	hears chan *orderv1.CreateOrdersResponse
}

func (s *speaker) Context() context.Context { return s.ctx }

func (s *speaker) RecvMsg(m any) error {
	select {
	case request, open := <-s.says:
		if !open {
			return io.EOF
		}
		body, err := proto.Marshal(request)
		*m.(*rpc.Received) = body
		return err
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *speaker) SendMsg(m any) error {
	r := &orderv1.CreateOrdersResponse{}
	if err := proto.Unmarshal(m.(rpc.Lent), r); err != nil {
		return err
	}
	select {
	case s.hears <- r:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// speak opens a stream to a server, and returns what its end comes in.
func speak(t *testing.T, s *server) (*speaker, <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	client := &speaker{
		ctx:   ctx,
		says:  make(chan *orderv1.CreateOrdersRequest),
		hears: make(chan *orderv1.CreateOrdersResponse),
	}
	ended := make(chan error, 1)
	go func() { ended <- s.CreateOrders(client) }()
	t.Cleanup(cancel)
	return client, ended
}

func (s *speaker) say(t *testing.T, orders ...*orderv1.SequencedOrder) {
	t.Helper()
	select {
	case s.says <- &orderv1.CreateOrdersRequest{Orders: orders}:
	case <-time.After(longWait):
		t.Fatal("the stream is not read")
	}
}

// from is a call of a client at an address.
func from(address string) context.Context {
	return peer.NewContext(context.Background(), &peer.Peer{Addr: &net.UnixAddr{Name: address}})
}

func newTestServer(t *testing.T) (*fixture, *server) {
	t.Helper()
	f := newFixture(t)
	return f, f.server(t)
}

// A client sends large orders and reads nothing of what it is told. After a few it is not read any more, and is ended.
// What was read is placed, and nothing of the stream is left.
func TestAClientThatDoesNotReadItsEventsIsNotReadAndEnded(t *testing.T) {
	t.Parallel()
	f, s := newTestServer(t)
	s.unreadTimeout = 300 * time.Millisecond
	client, ended := speak(t, s)
	large := request()
	for len(large.GetItems()) < 100 {
		large.Items = append(large.Items, &orderv1.Item{Name: strings.Repeat("茶", 130), Quantity: 1, UnitPrice: 1})
	}
	size, read := proto.Size(large), 0
	var err error
	for err == nil {
		select {
		case client.says <- &orderv1.CreateOrdersRequest{Orders: []*orderv1.SequencedOrder{
			{Sequence: int64(read), Order: large, TellSettled: true},
		}}:
			read++
		case err = <-ended:
		case <-time.After(longWait):
			t.Fatal("the stream is not ended")
		}
	}
	if !errors.Is(err, rpc.ErrRepliesUnread) {
		t.Errorf("got %v, want %v", err, rpc.ErrRepliesUnread)
	}
	if most := maxUntaken/size + 2; read > most { // one waits, and one is being received
		t.Errorf("got %d requests read, want %d at most", read, most)
	}
	if got := s.hub.count(); got != 0 {
		t.Errorf("got %d orders watched, want none", got)
	}
	var placed int
	if err := f.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&placed); err != nil || placed == 0 {
		t.Errorf("got %d orders, error %v; want some", placed, err)
	}
}

// Three ends are waited for, and a stream waits for three at most. The next order is read when one of them is told.
func TestAStreamThatWaitsForTooManyEndsIsNotRead(t *testing.T) {
	t.Parallel()
	f, s := newTestServer(t)
	s.mostUnsettled = 3
	client, _ := speak(t, s)
	var last string
	for n := range int64(3) {
		client.say(t, asking(n))
		last = receive(t, "an acknowledgement", client.hears).GetEvents()[0].GetAcknowledged().GetOrderId()
	}
	client.say(t, asking(3)) // is received, and waits
	_, err := f.db.Pool.Exec(t.Context(), `UPDATE orders SET status = 'COMPLETED' WHERE id = $1`, last)
	if err != nil {
		t.Fatal(err)
	}
	s.hub.wake(last)
	wantSettled(t, receive(t, "an end", client.hears).GetEvents()[0], 2, last, orderv1.Order_STATUS_COMPLETED)
	if event := receive(t, "the next acknowledgement", client.hears).GetEvents()[0]; event.GetSequence() != 3 {
		t.Errorf("got %v, want the order acknowledged that was not read before", event)
	}
}

// A stream that is old ends, though it waits for an end. Its last order is acknowledged.
func TestAStreamEndsByItsAge(t *testing.T) {
	t.Parallel()
	_, s := newTestServer(t)
	s.streamAge, s.mostUnsettled = 50*time.Millisecond, 10
	client, ended := speak(t, s)
	go func() {
		for {
			select {
			case client.says <- &orderv1.CreateOrdersRequest{Orders: []*orderv1.SequencedOrder{asking(1)}}:
			case <-client.ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-client.hears:
		case err := <-ended:
			if !errors.Is(err, rpc.ErrStopping) {
				t.Errorf("got %v, want %v", err, rpc.ErrStopping)
			}
			return
		case <-time.After(longWait):
			t.Fatal("the stream does not end")
		}
	}
}

// The end of an order is known before its commit was answered: it is told after the acknowledgement all the same.
func TestAnEndIsToldAfterTheAcknowledgement(t *testing.T) {
	t.Parallel()
	s := newFixture(t).server(t)
	c := &conversation{server: s}
	i := &sequenced{conversation: c, sequence: 1, tells: true}
	o := order.Order{ID: "1", Status: order.Completed}
	if enough := i.heard(news{err: orderdb.ErrNotFound}); enough {
		t.Error("an order that is not there yet is no end")
	}
	if enough := i.heard(news{order: o}); !enough || len(c.waiting.events) != 0 {
		t.Errorf("got enough %v and %d events, want no event before the acknowledgement", enough, len(c.waiting.events))
	}
	o.Status = order.Pending
	i.acknowledge(o)
	if len(c.waiting.events) != 2 || c.waiting.events[0].kind != acknowledged || c.waiting.events[1].kind != settled {
		t.Errorf("got %v, want the acknowledgement and then the end", c.waiting.events)
	}
}
