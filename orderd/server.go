package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/command"
	"hosho/internal/daemon"
	"hosho/internal/events"
	"hosho/internal/identity"
	"hosho/internal/logline"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/page"
	"hosho/internal/pg"
	"hosho/internal/policy"
	"hosho/internal/rpc"
	"hosho/internal/trace"
)

const (
	maxReceive  = 64 << 10         // bytes of one message: 100 items with the longest names fit
	callTimeout = 10 * time.Second // how long a call may take whose caller set no shorter deadline
	// handlers is how many goroutines are kept for calls. One that is new begins with a small stack, and has it copied
	// several times before it has decoded an order. When all of them are at work a call gets one of its own.
	handlers = 1024
)

// server is the order service.
type server struct {
	orderv1.UnimplementedOrderServiceServer

	store    *orderdb.Store
	deadline time.Duration // of a new order
	lanes    lanes
	creator  *creator
	hub      *hub
	events   *events.Log
	alarms   *alarms
	room     *room
	unread   *semaphore.Weighted // bytes that who waits or watches may hold
	relays   *pg.Waker           // tells the relays that there is a void
	watchers *pg.Waker           // tells the hubs of all orderds that an order has changed
	listener *pg.Listener        // hears what this and other processes tell the hubs
	traces   *trace.Tracer
	metrics  *metrics
	log      *slog.Logger

	unreadTimeout time.Duration // how long a message of a stream may stand
	streamAge     time.Duration // when a stream of orders ends
	mostUnsettled int           // how many settlements it may wait for
	refusals      *rpc.Sampler  // of orders of streams
}

func newServer(
	pools *pg.Pools, deadline time.Duration, registry prometheus.Registerer, log *slog.Logger,
) *server {
	store := orderdb.NewOver(pools, command.Encode).Counting(orderdb.NewMetrics(registry, order.CustomerCancels))
	s := &server{
		store: store, deadline: deadline, hub: newHub(store, log), alarms: newAlarms(), room: newRoom(),
		events:    events.NewLog(program.Name, daemon.Instance(), registry),
		streamAge: maxStreamAge, mostUnsettled: maxUnsettled, refusals: rpc.NewSampler(log),
		lanes: newLanes(pools), unread: semaphore.NewWeighted(maxUnread), unreadTimeout: rpc.UnreadTimeout,
		relays: pg.NewWaker(pools.Writes, outbox.Channel), watchers: pg.NewWaker(pools.Writes, orderdb.Channel),
		listener: pg.NewListener(pools.Writes, orderdb.Channel, log), metrics: newMetrics(registry), log: log,
	}
	s.hub.poll = s.listener.Poll
	s.creator = newCreator(store, s.lanes.create, creators(pools), s.metrics, s.events)
	return s
}

func (s *server) config(
	listen daemon.Listen, registry *prometheus.Registry, ready func(context.Context) error,
) rpc.ServerConfig {
	return rpc.ServerConfig{
		Listen: listen.Listen, AdminListen: listen.AdminListen, Reflection: listen.Reflection,
		Registry: registry, MaxReceive: maxReceive, CallTimeout: callTimeout, Log: s.log,
		Register: s.register, Stopping: s.stop,
		Options: append(s.traces.Options(toStatus), grpc.NumStreamWorkers(handlers)),
		Ready:   ready, Lane: s.lanes.of, ToStatus: toStatus,
	}
}

func (s *server) register(g *grpc.Server) {
	orderv1.RegisterOrderServiceServer(g, s)
	s.events.Register(g)
}

// stop ends the streams.
func (s *server) stop() {
	s.hub.stop()
	s.events.Stop()
}

// run sends and hears wake-ups and keeps the watchers up to date, until ctx ends. listening is how it connects for
// LISTEN.
func (s *server) run(ctx context.Context, listening pg.Config, listen bool) {
	var all sync.WaitGroup
	all.Go(func() { s.relays.Run(ctx) })
	all.Go(func() { s.watchers.Run(ctx) })
	all.Go(func() { s.hub.run(ctx) })
	if listen {
		all.Go(func() { s.listener.Run(ctx, listening, s.hub.wake) })
	}
	all.Wait()
	s.refusals.Stop()
}

// CreateOrder accepts an order, or returns the one that the same request made before, and may wait until it is settled.
func (s *server) CreateOrder(
	ctx context.Context, r *orderv1.CreateOrderRequest,
) (*orderv1.CreateOrderResponse, error) {
	wanted, wait, err := fromCreate(r, s.deadline, s.traceOf(ctx))
	if err == nil {
		err = policy.Name(ctx, wanted.CustomerID)
	}
	if err != nil {
		return nil, s.metrics.unplaced(err)
	}
	end, err := s.expect(ctx, r, wanted.ID, wait)
	if err != nil {
		return nil, s.metrics.unplaced(err)
	}
	defer end.end()
	o, fresh, err := s.creator.place(ctx, wanted)
	if err != nil {
		return nil, err
	}
	s.traced(ctx, o, !fresh)
	if fresh {
		s.tell(ctx, o, accepting, wanted.Traceparent)
	}
	if wait > 0 {
		rpc.LeaveLane(ctx)
		o = end.await(ctx, o)
	}
	return &orderv1.CreateOrderResponse{Order: toOrder(o)}, nil
}

// GetOrder returns an order as it is now.
func (s *server) GetOrder(
	ctx context.Context, r *orderv1.GetOrderRequest,
) (*orderv1.GetOrderResponse, error) {
	id, of, err := fromNaming(ctx, r, r.CustomerId)
	if err != nil {
		return nil, err
	}
	o, err := s.store.Of(of).Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return &orderv1.GetOrderResponse{Order: toOrder(o)}, nil
}

// ListOrders returns a page of orders.
func (s *server) ListOrders(
	ctx context.Context, r *orderv1.ListOrdersRequest,
) (*orderv1.ListOrdersResponse, error) {
	filter, err := fromList(r)
	if err != nil {
		return nil, err
	}
	of, err := listed(ctx, filter)
	if err != nil {
		return nil, err
	}
	list := []string{"orders", filter.CustomerID, string(filter.Status)}
	after, err := page.Read(r.GetPageToken(), list...)
	if err != nil {
		return nil, err
	}
	orders, rest, err := s.store.Of(of).List(ctx, filter, after.UUID(), page.Size(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	response := &orderv1.ListOrdersResponse{}
	at := func(last order.Order) page.Position { return page.AtUUID(last.ID) }
	response.Orders, response.NextPageToken = page.Cut(orders, toOrder, at, page.AfterUUID(rest), list...)
	return response, nil
}

// CancelOrder gives an order up, or returns it as it is when that has happened before.
func (s *server) CancelOrder(
	ctx context.Context, r *orderv1.CancelOrderRequest,
) (*orderv1.CancelOrderResponse, error) {
	id, of, err := fromNaming(ctx, r, r.CustomerId)
	if err != nil {
		return nil, err
	}
	traceparent := s.traceOf(ctx)
	o, changed, err := s.store.Of(of).Cancel(ctx, id, traceparent)
	if err != nil {
		return nil, err
	}
	s.traced(ctx, o, !changed)
	if changed {
		s.relays.WakeAbout(string(order.Void))
		s.watchers.WakeAbout(o.ID)
		s.tell(ctx, o, order.CustomerCancels.String(), traceparent)
		s.events.Order(traceparent, cancelled(o))
	}
	return &orderv1.CancelOrderResponse{Order: toOrder(o)}, nil
}

// tell writes the line that each change of an order's status gets, in whichever process it happens: an order's story
// is found in the logs by its id, and by its trace.
func (s *server) tell(ctx context.Context, o order.Order, cause, traceparent string) {
	attrs := make([]slog.Attr, 0, 5)
	attrs = append(attrs, slog.String("order_id", o.ID), slog.String("status", string(o.Status)),
		slog.String("cause", cause))
	if id := identity.Of(ctx); id != "" {
		attrs = append(attrs, slog.String("identity", id))
	}
	logline.Write(ctx, s.log, slog.LevelInfo, "order", logline.WithTrace(attrs, traceparent)...)
}
