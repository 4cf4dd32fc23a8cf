package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	eventv1 "hosho/gen/event/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/admission"
	"hosho/internal/broker"
	"hosho/internal/command"
	"hosho/internal/daemon"
	"hosho/internal/digest"
	"hosho/internal/events"
	"hosho/internal/inbox"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/internal/trace"
	"hosho/internal/wait"
	"hosho/relay/internal/dispatch"
	"hosho/relay/internal/publish"
)

const (
	maxReceive  = 64 << 10         // bytes of one message
	callTimeout = 10 * time.Second // how long a call may take whose caller set no shorter deadline
	readyPoll   = 500 * time.Millisecond
)

// server is the relay: the workers on the outbox, and the OutboxService, the operator's view of it.
type server struct {
	relayv1.UnimplementedOutboxServiceServer

	name       string // of this relay, for operators
	store      *orderdb.Store
	workers    outbox.Workers // one for each kind of command: voids that fail must not hold up charges
	watchers   *pg.Waker      // tells the orderds that orders have changed
	listener   *pg.Listener   // hears that something is due
	way        way
	digest     *digest.Digest[sort]
	trust      interface{ last() (verdict, bool) }
	operators  *admission.Lane // of all calls that ask the database
	events     *events.Log
	stuckAfter time.Duration
	traces     *trace.Tracer
	log        *slog.Logger
}

func newServer(
	pools *pg.Pools, config outbox.Config, p pace, to destination, registry prometheus.Registerer,
	traces *trace.Tracer, log *slog.Logger,
) *server {
	alarms := newAlarms(registry)
	s := &server{
		name:       daemon.Instance(),
		traces:     traces,
		log:        log,
		store:      orderdb.NewOver(pools, command.Encode).Counting(orderdb.NewMetrics(registry, settling()...)),
		watchers:   pg.NewWaker(pools.Writes, orderdb.Channel),
		listener:   pg.NewListener(pools.Writes, outbox.Channel, log),
		stuckAfter: p.StuckAfter,
		operators:  admission.NewLane("operator", int(pools.Reads.Config().MaxConns)/2),
		events:     events.NewLog(program.Name, daemon.Instance(), registry),
	}
	s.digest = newDigest(log)
	h := &handler{
		name: s.name, store: s.store, watchers: s.watchers, maxAttempts: p.MaxAttempts, voidAlarm: p.VoidAlarm,
		backoff: config.Backoff, giveUps: newGiveUps(alarms, log), persons: &persons{log: log, alarms: alarms},
		digest: s.digest, traces: traces, events: s.events, log: log,
	}
	if to.broker == nil {
		s.call(to.paymentd, h, config, p, registry)
	} else {
		config.Quiet = s.publish(to, h, config, p, registry)
	}
	config.Poll, config.Wakes, config.Metrics = s.listener.Poll, p.Wake, outbox.NewMetrics(registry)
	config.Breaker = s.events.Breaker
	if traces != nil {
		config.Claimed = func(messages []outbox.Message, began time.Time) { traceClaimed(traces, messages, began) }
	}
	s.workers = outbox.NewWorkers(config, pools.Writes, orderdb.Outbox, h, log,
		string(order.Charge), string(order.Void))
	return s
}

// call has a handler's commands sent to paymentd.
func (s *server) call(
	paymentd paymentv1.PaymentServiceClient, h *handler, config outbox.Config, p pace, registry prometheus.Registerer,
) {
	t := &trust{store: s.store, alarms: h.persons.alarms, log: s.log}
	s.trust, s.way = t, overGRPC{dispatch.New(paymentd, dispatch.Config{
		Timeout: config.CallTimeout, Batch: config.Batch, Trust: t.judge, Registry: registry,
		Renew: p.renew, Listen: p.listen, Traces: s.traces,
	})}
	h.way = s.way
}

// publish has a handler's commands published, and payment events applied. It returns what reports whether there are
// none.
func (s *server) publish(
	to destination, h *handler, config outbox.Config, p pace, registry prometheus.Registerer,
) (quiet func() bool) {
	known := &pin{store: s.store, alarms: h.persons.alarms, log: s.log, strangers: map[string]time.Time{}}
	o := &overBroker{
		Publisher: publish.New(publish.Config{
			Broker: to.broker, Topic: broker.Orders(to.prefix), Timeout: config.CallTimeout, Identify: known.identify,
			Registry: registry, Traces: s.traces,
		}),
		pin: known, to: to, handler: h, changed: func() { s.workers.Changed() }, within: config.SettleTimeout,
		patience: p.Resend, counts: newHeardCounts(registry), log: s.log,
	}
	o.last.Store(time.Now().UnixNano())
	o.inbox = inbox.Config{
		Broker: to.broker, Topic: broker.Payments(to.prefix), Group: broker.Relay, Handle: o.handle,
		Metrics: inbox.NewMetrics(registry), Log: s.log,
	}
	s.trust, s.way, h.way = known, o, o
	return o.quiet
}

func (s *server) config(
	listen daemon.Listen, registry *prometheus.Registry, ready func(context.Context) error,
) rpc.ServerConfig {
	return rpc.ServerConfig{
		Listen: listen.Listen, AdminListen: listen.AdminListen, Reflection: listen.Reflection,
		Registry: registry, MaxReceive: maxReceive, CallTimeout: callTimeout, Log: s.log,
		Register: s.register, Stopping: s.events.Stop,
		Options: s.traces.Options(toStatus),
		Ready:   ready, ToStatus: toStatus, Lane: s.lane,
	}
}

func (s *server) register(g *grpc.Server) {
	relayv1.RegisterOutboxServiceServer(g, s)
	s.events.Register(g)
}

func (s *server) lane(method string) *admission.Lane {
	if method == eventv1.EventService_WatchEvents_FullMethodName {
		return nil
	}
	return s.operators
}

// run sends and hears wake-ups, until ctx ends. listening is how to connect for LISTEN.
func (s *server) run(ctx context.Context, listening pg.Config, listen bool) {
	var all sync.WaitGroup
	all.Go(func() { s.watchers.Run(ctx) })
	if listen {
		all.Go(func() { s.listener.Run(ctx, listening, s.workers.Hear) })
	}
	all.Wait()
}

// work delivers the outbox until ctx ends and what is under way is finished.
func (s *server) work(ctx context.Context, ready func(context.Context) error) {
	defer s.digest.Stop()
	defer s.way.Close()
	for ready(ctx) != nil {
		if !wait.For(ctx, readyPoll) {
			return
		}
	}
	s.log.Info("delivering", "relay", s.name) // by this name the attempts are recorded
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { s.way.Run(ctx, ready) })
	s.workers.Run(ctx)
}
