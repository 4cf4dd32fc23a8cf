package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// What is ordered.
const (
	customers = 1000
	item      = "tea"
	price     = 1200
	currency  = "JPY"
)

const (
	callTimeout = 20 * time.Second // of one try: none is given up that may be answered
	retryPause  = 20 * time.Millisecond
	longestWait = 9 * time.Second // that an answer may wait for the order to be settled; after that it is watched
)

// items are the same messages in every request.
var items = []*orderv1.Item{{Name: item, Quantity: 1, UnitPrice: price}}

// names are the customers'.
var names = func() (names [customers]string) {
	for n := range names {
		names[n] = fmt.Sprintf("bench-%03d", n)
	}
	return names
}()

func customer(n int64) string { return names[n%customers] }

// caller places one order after the other, each with a request_id by chance, as clients draw them.
type caller struct {
	*system
	orders orderv1.OrderServiceClient
	create create
	mode   Mode
	to     *recorder
}

// create is CreateOrder.
type create func(
	context.Context, *orderv1.CreateOrderRequest, ...grpc.CallOption,
) (*orderv1.CreateOrderResponse, error)

// request is for an order that nobody has asked for before.
func (s *system) request() *orderv1.CreateOrderRequest {
	requestID := randomID()
	return &orderv1.CreateOrderRequest{
		CustomerId: customer(s.next.Add(1)), RequestId: &requestID, CurrencyCode: currency,
		Items: items,
	}
}

// randomID returns a UUID. Nobody has to be kept from guessing it: then it takes a tenth of the time.
func randomID() string {
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // version 4, and the variant that has it
	return uuid.UUID(id).String()
}

// order places one order, for which somebody has waited since begin.
func (c *caller) order(ctx context.Context, begin time.Time) {
	request := c.request()
	if c.mode == Wait {
		request.Wait = durationpb.New(longestWait)
	}
	var reply *orderv1.CreateOrderResponse
	err := c.persist(ctx, func(ctx context.Context) (err error) {
		reply, err = c.create(ctx, request)
		return err
	})
	if err != nil {
		return
	}
	c.to.acknowledged(begin, time.Now())
	c.placed.Add(1)
	if !c.mode.learns() {
		return
	}
	waited := c.mode == Wait && c.isSettled(reply.GetOrder())
	if !waited && !c.watch(ctx, reply.GetOrder().GetOrderId()) {
		return
	}
	c.to.settled(begin, time.Now())
	c.settled.Add(1)
}

// watch waits until somebody says that the order is settled, and reports whether anybody did.
func (c *caller) watch(ctx context.Context, id string) (settled bool) {
	err := c.persist(ctx, func(ctx context.Context) error {
		stream, err := c.orders.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: id})
		if err != nil {
			return err
		}
		for {
			reply, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			settled = settled || c.isSettled(reply.GetOrder())
		}
	})
	if err == nil && !settled {
		c.broke("order %s: its watch ended before it was settled", id)
	}
	return settled
}

// isSettled reports whether an order is, and notes one that did not end as it must: nothing is declined here.
func (c *caller) isSettled(o *orderv1.Order) bool {
	switch o.GetStatus() {
	case orderv1.Order_STATUS_COMPLETED:
		return true
	case orderv1.Order_STATUS_CANCELLED:
		c.broke("order %s was CANCELLED: %s", o.GetOrderId(), o.GetCancelReason())
		return true
	}
	return false
}

// persist calls until it is answered, or ctx ends: what may be tried again is, with the same request_id.
func (c *caller) persist(ctx context.Context, call func(context.Context) error) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		err := call(bounded)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !transient(err) {
			c.broke("a call was refused: %v", err)
			return err
		}
		c.to.repeated(err)
		pause := max(rpc.RetryDelay(err), retryPause)
		wait.For(ctx, pause/2+rand.N(pause)) // so that those who were refused together come back apart
	}
}

// transient reports whether an error says: ask again.
func transient(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted:
		return true
	}
	return false
}

// crowd is the callers of one load.
type crowd struct {
	clients []work
	streams sync.WaitGroup
	end     context.CancelFunc // of the streams
}

// callers returns as many as a load has, and opens the streams that they share.
func (s *system) callers(ctx context.Context, p spec, to *recorder) *crowd {
	c := &crowd{}
	ctx, c.end = context.WithCancel(ctx)
	var lines []*line
	if p.mode == Stream {
		for n := range min(s.config.Streams, p.clients) {
			l := newLine(s, s.clients[n%len(s.clients)], to)
			lines = append(lines, l)
			c.streams.Go(func() { l.run(ctx) })
		}
	}
	for n := range p.clients {
		if p.mode == Stream {
			c.clients = append(c.clients, lines[n%len(lines)].caller())
			continue
		}
		c.clients = append(c.clients, s.caller(n, p.mode, to).order)
	}
	return c
}

// caller is the nth of those who make calls. They share the connections of gRPC.
func (s *system) caller(n int, mode Mode, to *recorder) *caller {
	orders := s.clients[n%len(s.clients)]
	c := &caller{system: s, orders: orders, create: orders.CreateOrder, mode: mode, to: to}
	if mode == HTTP {
		c.create = s.web.create
	}
	return c
}

// close ends the streams.
func (c *crowd) close() {
	c.end()
	c.streams.Wait()
}
