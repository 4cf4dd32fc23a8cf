package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/command"
	"hosho/internal/daemon"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/page"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/migrations"
	"hosho/relay/internal/dispatch"
)

const (
	application = "relay"          // how the database names the connections
	maxReceive  = 64 << 10         // bytes of one message
	patience    = 10 * time.Second // how long a call may take whose caller set no shorter deadline
	readyPoll   = 500 * time.Millisecond
)

// server is the relay: the workers on the outbox, and the OutboxService, the operator's view of it.
type server struct {
	relayv1.UnimplementedOutboxServiceServer

	name       string // of this relay, for operators
	store      *orderdb.Store
	workers    outbox.Workers // one for each kind of command: voids that fail must not hold up charges
	watchers   *pg.Waker      // tells the orderds that orders have changed
	stuckAfter time.Duration
	log        *slog.Logger
}

func newServer(pool *pgxpool.Pool, config outbox.Config, p pace, paymentd paymentv1.PaymentServiceClient, log *slog.Logger) *server {
	s := &server{
		name:       instance(),
		log:        log,
		store:      orderdb.New(pool, command.Encode),
		watchers:   pg.NewWaker(pool, orderdb.Channel),
		stuckAfter: p.StuckAfter,
	}
	s.workers = outbox.NewWorkers(config, pool, orderdb.Commands, &handler{
		Dispatcher: dispatch.New(paymentd, config.CallTimeout), name: s.name,
		store: s.store, watchers: s.watchers, maxAttempts: p.MaxAttempts, voidAlarm: p.VoidAlarm, log: log,
	}, log, string(order.Charge), string(order.Void))
	return s
}

// instance names this relay among others: host:pid, where an operator finds its log.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

func (s *server) config(
	listen daemon.Listen, registry *prometheus.Registry, ready func(context.Context) error,
) rpc.ServerConfig {
	return rpc.ServerConfig{
		Listen: listen.Listen, AdminListen: listen.AdminListen, Reflection: listen.Reflection,
		MaxReceive: maxReceive, CallTimeout: patience, Log: s.log,
		Registry: registry,
		Register: func(g *grpc.Server) { relayv1.RegisterOutboxServiceServer(g, s) },
		Ready:    ready, ToStatus: toStatus,
	}
}

// ready keeps calls out, and the worker from its work, until the schema is the one that this program was written for.
func ready(pool *pgxpool.Pool) func(context.Context) error {
	return func(ctx context.Context) error {
		err := migrations.Orders.Check(ctx, pool)
		if errors.Is(err, migrations.ErrSchema) {
			return fmt.Errorf("%w: run `orderd migrate`", err)
		}
		return err
	}
}

// run sends and hears wake-ups, until ctx ends.
func (s *server) run(ctx context.Context, database pg.Config, listen bool) {
	var all sync.WaitGroup
	all.Go(func() { s.watchers.Run(ctx) })
	if listen {
		all.Go(func() { pg.Listen(ctx, database, outbox.Channel, s.log, s.workers.Wake) })
	}
	all.Wait()
}

// work delivers the outbox until ctx ends and what is under way is finished.
func (s *server) work(ctx context.Context, ready func(context.Context) error) {
	for ready(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(readyPoll):
		}
	}
	s.log.Info("delivering", "relay", s.name) // by this name the attempts are recorded
	s.workers.Run(ctx)
}

var errNoCommand = errors.New("no such command")

// ListParked answers the commands that need a person.
func (s *server) ListParked(ctx context.Context, req *relayv1.ListParkedRequest) (*relayv1.ListParkedResponse, error) {
	if err := checkList(req); err != nil {
		return nil, err
	}
	after, err := page.Read(req.GetPageToken(), "parked")
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	waiting, err := s.store.Stuck(ctx, s.stuckAfter, after.Number(), size+1)
	if err != nil {
		return nil, err
	}
	reply := &relayv1.ListParkedResponse{}
	if len(waiting) > size {
		waiting = waiting[:size]
		reply.NextPageToken = page.Token(page.AtNumber(waiting[size-1].ID), "parked")
	}
	for _, w := range waiting {
		reply.Commands = append(reply.Commands, toCommand(w, s.stuckAfter))
	}
	return reply, nil
}

// maxExplained bounds how many attempts one reply tells. A void that fails for months has more.
const maxExplained = 1000

// ExplainOrder answers what became of an order's commands.
func (s *server) ExplainOrder(ctx context.Context, req *relayv1.ExplainOrderRequest) (*relayv1.ExplainOrderResponse, error) {
	if err := checkExplain(req); err != nil {
		return nil, err
	}
	found, err := s.store.Explain(ctx, req.GetOrderId(), maxExplained)
	if err != nil {
		return nil, err
	}
	return toExplanation(found, s.stuckAfter), nil
}

// RetryParked makes a command due at once.
func (s *server) RetryParked(ctx context.Context, req *relayv1.RetryParkedRequest) (*relayv1.RetryParkedResponse, error) {
	if err := checkRetry(req); err != nil {
		return nil, err
	}
	found, err := s.store.Retry(ctx, req.GetOrderId(), kinds[req.GetKind()])
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errNoCommand
	}
	s.workers.Wake()
	return &relayv1.RetryParkedResponse{}, nil
}

// SettleParked cancels an order by hand, and writes down who and why.
func (s *server) SettleParked(ctx context.Context, req *relayv1.SettleParkedRequest) (*relayv1.SettleParkedResponse, error) {
	if err := checkSettle(req); err != nil {
		return nil, err
	}
	o, changed, err := s.store.SettleByHand(ctx, orderdb.Decision{
		OrderID: req.GetOrderId(), Operator: req.GetOperator(), Reason: req.GetReason(), Codes: order.ConflictCodes,
	})
	if err != nil {
		return nil, err
	}
	if changed {
		s.log.Warn("order", "order_id", o.ID, "status", string(o.Status), "cause", order.OperatorSettles.String(), "operator", req.GetOperator())
		s.watchers.Wake()
	}
	return &relayv1.SettleParkedResponse{}, nil
}

// GetBacklog answers how much waits.
func (s *server) GetBacklog(ctx context.Context, _ *relayv1.GetBacklogRequest) (*relayv1.GetBacklogResponse, error) {
	backlogs, err := s.store.Backlog(ctx)
	if err != nil {
		return nil, err
	}
	return toBacklog(backlogs), nil
}
