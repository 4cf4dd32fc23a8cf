package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	eventv1 "hosho/gen/event/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/admission"
	"hosho/internal/command"
	"hosho/internal/daemon"
	"hosho/internal/digest"
	"hosho/internal/events"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/page"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/internal/trace"
	"hosho/internal/wait"
	"hosho/relay/internal/dispatch"
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
	dispatcher *dispatch.Dispatcher
	digest     *digest.Digest[sort]
	trust      *trust
	operators  *admission.Lane // of all calls that ask the database
	events     *events.Log
	stuckAfter time.Duration
	traces     *trace.Tracer
	log        *slog.Logger
}

func newServer(
	pools *pg.Pools, config outbox.Config, p pace, paymentd paymentv1.PaymentServiceClient,
	registry prometheus.Registerer, traces *trace.Tracer, log *slog.Logger,
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
	s.trust, s.digest = &trust{store: s.store, alarms: alarms, log: log}, newDigest(log)
	s.dispatcher = dispatch.New(paymentd, dispatch.Config{
		Timeout: config.CallTimeout, Batch: config.Batch, Trust: s.trust.judge, Registry: registry,
		Renew: p.renew, Listen: p.listen, Traces: traces,
	})
	config.Poll, config.Wakes, config.Metrics = s.listener.Poll, p.Wake, outbox.NewMetrics(registry)
	if traces != nil {
		config.Claimed = func(messages []outbox.Message, began time.Time) { traceClaimed(traces, messages, began) }
	}
	s.workers = outbox.NewWorkers(config, pools.Writes, orderdb.Outbox, &handler{
		Dispatcher: s.dispatcher, name: s.name,
		store: s.store, watchers: s.watchers, maxAttempts: p.MaxAttempts, voidAlarm: p.VoidAlarm,
		backoff: config.Backoff, giveUps: newGiveUps(alarms, log), persons: &persons{log: log, alarms: alarms},
		digest: s.digest, traces: traces, events: s.events, log: log,
	}, log, string(order.Charge), string(order.Void))
	return s
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
	defer s.dispatcher.Close()
	for ready(ctx) != nil {
		if !wait.For(ctx, readyPoll) {
			return
		}
	}
	s.log.Info("delivering", "relay", s.name) // by this name the attempts are recorded
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { s.dispatcher.KeepAsking(ctx) })
	s.workers.Run(ctx)
}

var errNoCommand = errors.New("no such command")

// ListParked returns the commands that need a person.
func (s *server) ListParked(
	ctx context.Context, r *relayv1.ListParkedRequest,
) (*relayv1.ListParkedResponse, error) {
	if err := checkList(r); err != nil {
		return nil, err
	}
	after, err := page.Read(r.GetPageToken(), "parked")
	if err != nil {
		return nil, err
	}
	waiting, rest, err := s.store.Stuck(ctx, s.stuckAfter, after.Number(), page.Size(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	response := &relayv1.ListParkedResponse{}
	told := func(w orderdb.Waiting) *relayv1.ParkedCommand { return toCommand(w, s.stuckAfter) }
	response.Commands, response.NextPageToken = page.Cut(waiting, told, atCommand, page.AfterNumber(rest), "parked")
	return response, nil
}

// ListCommands returns all commands in the outbox, or those of a kind.
func (s *server) ListCommands(
	ctx context.Context, r *relayv1.ListCommandsRequest,
) (*relayv1.ListCommandsResponse, error) {
	kind, err := fromCommands(r)
	if err != nil {
		return nil, err
	}
	list := []string{"commands", string(kind)}
	after, err := page.Read(r.GetPageToken(), list...)
	if err != nil {
		return nil, err
	}
	waiting, rest, err := s.store.Commands(ctx, kind, after.Number(), page.Size(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	response := &relayv1.ListCommandsResponse{}
	told := func(w orderdb.Waiting) *relayv1.Command { return toListed(w, s.stuckAfter) }
	response.Commands, response.NextPageToken = page.Cut(waiting, told, atCommand, page.AfterNumber(rest), list...)
	return response, nil
}

func atCommand(last orderdb.Waiting) page.Position { return page.AtNumber(last.ID) }

// maxExplained bounds how many attempts one reply tells. A void that fails for months has more.
const maxExplained = 1000

// ExplainOrder returns what became of an order's commands.
func (s *server) ExplainOrder(
	ctx context.Context, r *relayv1.ExplainOrderRequest,
) (*relayv1.ExplainOrderResponse, error) {
	id, err := fromID(r.GetOrderId())
	if err != nil {
		return nil, err
	}
	found, err := s.store.Explain(ctx, id, maxExplained)
	if err != nil {
		return nil, err
	}
	return toExplanation(found, s.stuckAfter), nil
}

// RetryParked makes a command due at once, and writes down who and why.
func (s *server) RetryParked(
	ctx context.Context, r *relayv1.RetryParkedRequest,
) (*relayv1.RetryParkedResponse, error) {
	retry, err := fromRetry(ctx, r)
	if err != nil {
		return nil, err
	}
	found, err := s.store.Retry(ctx, retry)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errNoCommand
	}
	s.log.InfoContext(ctx, "retry", "order_id", retry.OrderID, "kind", string(retry.Kind), "operator", retry.Operator)
	s.workers.Wake()
	return &relayv1.RetryParkedResponse{}, nil
}

// SettleParked cancels an order by hand, and writes down who and why.
func (s *server) SettleParked(
	ctx context.Context, r *relayv1.SettleParkedRequest,
) (*relayv1.SettleParkedResponse, error) {
	decision, err := fromSettle(ctx, r)
	if err != nil {
		return nil, err
	}
	o, changed, err := s.store.SettleByHand(ctx, decision)
	if err != nil {
		return nil, err
	}
	if changed {
		s.log.WarnContext(ctx, "order", "order_id", o.ID, "status", string(o.Status),
			"cause", order.OperatorSettles.String(), "operator", decision.Operator)
		s.watchers.WakeAbout(o.ID)
		s.events.Order("", settledByHand(o))
	}
	return &relayv1.SettleParkedResponse{}, nil
}

// GetBacklog returns how much waits, and which kinds this relay takes to be undeliverable.
func (s *server) GetBacklog(
	ctx context.Context, _ *relayv1.GetBacklogRequest,
) (*relayv1.GetBacklogResponse, error) {
	backlogs, err := s.store.Backlog(ctx)
	if err != nil {
		return nil, err
	}
	response := toBacklog(s.name, backlogs, s.workers.BreakerOpen)
	if v, found := s.trust.last(); found {
		response.PaymentsDatabase = toPaymentsDatabase(v)
	}
	return response, nil
}

// errNotThat says that paymentd has not the payments database that is to be accepted.
var errNotThat = errors.New("not that payments database")

// AcceptPaymentsDatabase has the orders trust another payments database, and writes down who and why. It asks paymentd
// before, so that nobody accepts one that is not there, and after, so that the relay goes on at once.
func (s *server) AcceptPaymentsDatabase(
	ctx context.Context, r *relayv1.AcceptPaymentsDatabaseRequest,
) (*relayv1.AcceptPaymentsDatabaseResponse, error) {
	accept, err := fromAccept(ctx, r)
	if err != nil {
		return nil, err
	}
	asked := s.dispatcher.AskAnew(ctx) // an error is no matter where that was told
	v, _ := s.trust.last()
	if v.trusted == accept.ID {
		return &relayv1.AcceptPaymentsDatabaseResponse{}, nil
	}
	if v.told != accept.ID {
		return nil, fmt.Errorf("%w: paymentd has %q (asked: %v)", errNotThat, v.told, asked)
	}
	from, changed, err := s.store.AcceptPayments(ctx, accept)
	if err != nil {
		return nil, err
	}
	response := &relayv1.AcceptPaymentsDatabaseResponse{Previous: toText(from)}
	if changed {
		s.log.WarnContext(ctx, "payments database accepted",
			"from", response.GetPrevious(), "to", accept.ID, "operator", accept.Operator)
	}
	_ = s.dispatcher.AskAnew(ctx) // it is accepted, whatever becomes of this
	s.workers.Wake()
	return response, nil
}
