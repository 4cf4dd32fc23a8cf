package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/durationpb"

	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pg"
	"hosho/internal/validate"
	"hosho/migrations"
)

const (
	application = "relay"          // how the database names the connections
	maxReceive  = 64 << 10         // bytes of a request
	callTimeout = 10 * time.Second // of a call whose client set no shorter deadline
	readyPoll   = 500 * time.Millisecond
)

// server is the relay: the worker on the outbox, and the OutboxService, the operator's view of it.
type server struct {
	relayv1.UnimplementedOutboxServiceServer

	pool     *pgxpool.Pool
	queue    *outbox.Queue
	store    *orderdb.Store
	worker   *outbox.Worker
	watchers *pg.Waker // tells the orderds that orders have changed
	log      *slog.Logger
}

func newServer(pool *pgxpool.Pool, config outbox.Config, maxAttempts int, paymentd paymentv1.PaymentServiceClient, log *slog.Logger) *server {
	s := &server{
		pool: pool, log: log,
		queue:    outbox.NewQueue(pool, config.Lease),
		store:    orderdb.New(pool, command.Encode),
		watchers: pg.NewWaker(pool, orderdb.Channel),
	}
	s.worker = outbox.NewWorker(config, s.queue, &handler{
		dispatcher: newDispatcher(paymentd, config.CallTimeout),
		store:      s.store, watchers: s.watchers, maxAttempts: maxAttempts, log: log,
	}, log)
	return s
}

// run sends and hears wake-ups, until ctx ends.
func (s *server) run(ctx context.Context, databaseURL string, listen bool) {
	var all sync.WaitGroup
	all.Go(func() { s.watchers.Run(ctx) })
	if listen {
		all.Go(func() { pg.Listen(ctx, databaseURL, application, outbox.Channel, s.log, s.worker.Wake) })
	}
	all.Wait()
}

// work delivers the outbox until ctx ends and what is under way is finished. It waits for the schema first.
func (s *server) work(ctx context.Context) {
	for s.ready(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(readyPoll):
		}
	}
	s.worker.Run(ctx)
}

// ready answers nil when the database can be reached and has the schema.
func (s *server) ready(ctx context.Context) error {
	err := migrations.Orders.Check(ctx, s.pool)
	if errors.Is(err, migrations.ErrSchema) {
		return fmt.Errorf("%w: run `orderd migrate`", err)
	}
	return err
}

var errNoCommand = errors.New("no such command")

const maxReason = 500 // characters, as the table's constraint says

// ListParked answers the commands that need a person.
func (s *server) ListParked(ctx context.Context, req *relayv1.ListParkedRequest) (*relayv1.ListParkedResponse, error) {
	p, err := readPage(req)
	if err != nil {
		return nil, err
	}
	waiting, err := s.queue.Parked(ctx, conflictCodes, p.after, p.size+1)
	if err != nil {
		return nil, err
	}
	reply := &relayv1.ListParkedResponse{}
	if len(waiting) > p.size {
		waiting = waiting[:p.size]
		reply.NextPageToken = pageToken(waiting[p.size-1].ID)
	}
	for _, w := range waiting {
		reply.Commands = append(reply.Commands, protoParked(w))
	}
	return reply, nil
}

// RetryParked makes a command due at once.
func (s *server) RetryParked(ctx context.Context, req *relayv1.RetryParkedRequest) (*relayv1.RetryParkedResponse, error) {
	var fields validate.Fields
	fields.UUID("order_id", req.GetOrderId())
	kind, known := kinds[req.GetKind()]
	if !known {
		fields.Add("kind", "got %v, want KIND_CHARGE or KIND_VOID", req.GetKind())
	}
	if err := fields.Err(); err != nil {
		return nil, err
	}
	found, err := s.queue.Retry(ctx, req.GetOrderId(), string(kind))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errNoCommand
	}
	s.worker.Wake()
	return &relayv1.RetryParkedResponse{}, nil
}

// SettleParked cancels an order by hand, and writes down who and why.
func (s *server) SettleParked(ctx context.Context, req *relayv1.SettleParkedRequest) (*relayv1.SettleParkedResponse, error) {
	var fields validate.Fields
	fields.UUID("order_id", req.GetOrderId())
	if n := utf8.RuneCountInString(req.GetReason()); n < 1 || n > maxReason || strings.ContainsRune(req.GetReason(), 0) {
		fields.Add("reason", "got %d characters, want 1 to %d and no NUL", n, maxReason)
	}
	fields.Operator("operator", req.GetOperator())
	if err := fields.Err(); err != nil {
		return nil, err
	}
	o, changed, err := s.store.SettleByHand(ctx, orderdb.Decision{
		OrderID: req.GetOrderId(), Operator: req.GetOperator(), Reason: req.GetReason(), Codes: conflictCodes,
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
	b, err := s.queue.Backlog(ctx)
	if err != nil {
		return nil, err
	}
	reply := &relayv1.GetBacklogResponse{Due: b.Due, Waiting: b.Waiting, Parked: b.Parked}
	if b.OldestAge != nil {
		reply.OldestAge = durationpb.New(*b.OldestAge)
	}
	return reply, nil
}
