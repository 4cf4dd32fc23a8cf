package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/card"
	"hosho/internal/daemon"
	"hosho/internal/digest"
	"hosho/internal/events"
	"hosho/internal/page"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
	"hosho/internal/rpc"
	"hosho/internal/trace"
)

const (
	maxReceive = 512 << 10 // bytes of one message: a thousand commands of half a KiB, twice what one can need
	// callTimeout is how long a call may take when its caller set no deadline.
	callTimeout = 30 * time.Second
)

// server is the payment service.
type server struct {
	paymentv1.UnimplementedPaymentServiceServer

	store   *paymentdb.Store
	network card.Network
	loses   map[int64]bool // the simulation: the amounts whose new charges get no reply
	metrics *metrics
	traces  *trace.Tracer
	events  *events.Log
	log     *slog.Logger

	refusals *rpc.Sampler // of commands of streams and of events
	refused  *prometheus.CounterVec
	repeats  *digest.Digest[string] // by kind

	patience    time.Duration // of a stream
	cardTimeout time.Duration // how long the card network may take to answer; 0: as long as a call
	sendTimeout time.Duration // how long replies may go unread
	aside       *aside
	lanes       lanes
	fitness     *fitness
	pin         *pin
	charges     *teller // charges and voids never share a statement
	voids       *teller
	room        *room

	stopping context.Context // ends when the server stops
	stop     context.CancelFunc
}

func newServer(
	pools *pg.Pools, simulate simulation, cardTimeout time.Duration, registry prometheus.Registerer, log *slog.Logger,
) *server {
	stopping, stop := context.WithCancel(context.Background())
	s := &server{
		store: paymentdb.NewOver(pools), network: simulate.network, loses: simulate.loses,
		metrics: newMetrics(registry), log: log, events: events.NewLog(program.Name, daemon.Instance(), registry),
		refusals: rpc.NewSampler(log), refused: newRefused(), repeats: newRepeats(log),
		patience: streamPatience, cardTimeout: cardTimeout, sendTimeout: rpc.UnreadTimeout,
		aside: newAside(maxAside), lanes: lanesOf(pools), room: newRoom(), fitness: newFitness(),
		stopping: stopping, stop: stop,
	}
	s.pin = newPin(s.store, log)
	s.charges = &teller{do: s.charge, most: s.lanes.charging}
	s.voids = &teller{do: s.void, most: s.lanes.voiding}
	return s
}

func (s *server) config(
	listen daemon.Listen, registry *prometheus.Registry, ready func(context.Context) error,
) rpc.ServerConfig {
	if registry != nil {
		registry.MustRegister(s.refused)
	}
	return rpc.ServerConfig{
		Listen: listen.Listen, AdminListen: listen.AdminListen, Reflection: listen.Reflection,
		Registry: registry, MaxReceive: maxReceive, CallTimeout: callTimeout, Log: s.log,
		Register: s.register,
		Options:  s.traces.Options(toStatus),
		Ready:    s.fitness.remember(ready), Lane: s.lanes.of, ToStatus: toStatus, Stopping: s.stopStreams,
	}
}

func (s *server) register(g *grpc.Server) {
	paymentv1.RegisterPaymentServiceServer(g, s)
	s.events.Register(g)
}

func (s *server) stopStreams() {
	s.stop()
	s.events.Stop()
}

// ChargePayment takes an amount, once.
func (s *server) ChargePayment(
	ctx context.Context, r *paymentv1.ChargePaymentRequest,
) (*paymentv1.ChargePaymentResponse, error) {
	if err := s.lanes.charge.Full(); err != nil { // before the card network is asked
		return nil, err
	}
	p, err := s.decideOne(ctx, fromCharge(r))
	if err != nil {
		return nil, err
	}
	return &paymentv1.ChargePaymentResponse{Payment: toPayment(p)}, nil
}

// VoidPayment sees to it that no money is held.
func (s *server) VoidPayment(
	ctx context.Context, r *paymentv1.VoidPaymentRequest,
) (*paymentv1.VoidPaymentResponse, error) {
	p, err := s.decideOne(ctx, fromVoid(r))
	if err != nil {
		return nil, err
	}
	return &paymentv1.VoidPaymentResponse{Payment: toPayment(p)}, nil
}

// decideOne decides a batch of one, and waits for the card network.
func (s *server) decideOne(ctx context.Context, c command) (payment.Payment, error) {
	var decided answer
	c.traceparent = s.traceOf(ctx)
	arrived := time.Now()
	reply := func(answers []answer) { decided = answers[0] }
	w := work{
		commands: []command{c}, arrived: arrived, patience: decideTimeout,
		reply:   s.traced(arrived, oteltrace.SpanKindInternal, reply),
		charges: s.lanes.charge.Enter, lookups: s.callLookup,
	}
	if asked := s.decide(ctx, w); asked != nil {
		going, end := s.untilStop(ctx)
		defer end(nil)
		if s.await(ctx, going, w, asked) != nil {
			return payment.Payment{}, unansweredFor(going)
		}
	}
	if decided.err == nil { // rpc tells of the error
		s.record(ctx, &decided, nil)
	} else {
		s.undecided(&decided, toPaymentError(decided.err))
	}
	return decided.payment, decided.err
}

// callLookup is the turn of a call whose key is looked up first.
func (s *server) callLookup(ctx context.Context) (leave func(), err error) {
	leaveLane, err := s.lanes.charge.Enter(ctx)
	if err != nil {
		return nil, err
	}
	leaveLookup, err := waiting(s.lanes.lookups)(ctx)
	if err != nil {
		leaveLane()
		return nil, err
	}
	return func() { leaveLookup(); leaveLane() }, nil
}

// untilStop returns a context that also ends, for rpc.ErrStopping, when the server stops; or for the cause that its
// function is given, which must be called.
func (s *server) untilStop(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	going, end := context.WithCancelCause(ctx)
	release := context.AfterFunc(s.stopping, func() { end(rpc.ErrStopping) })
	return going, func(cause error) {
		release()
		end(cause)
	}
}

// GetDatabase returns which payments database this is, what its clock says, and whom it trusts.
func (s *server) GetDatabase(
	ctx context.Context, _ *paymentv1.GetDatabaseRequest,
) (*paymentv1.GetDatabaseResponse, error) {
	is, err := s.store.Identity(ctx)
	if err != nil {
		return nil, err
	}
	return &paymentv1.GetDatabaseResponse{
		PaymentsDatabase: is.ID, ClockTime: timestamppb.New(is.Clock),
		OrdersDatabase: textOf(is.Orders), RefusedOrdersDatabase: s.pin.refused(),
	}, nil
}

// GetPayment returns a payment and its ledger as they are now.
func (s *server) GetPayment(
	ctx context.Context, r *paymentv1.GetPaymentRequest,
) (*paymentv1.GetPaymentResponse, error) {
	id, err := fromKey(r.GetPaymentId())
	if err != nil {
		return nil, err
	}
	p, ledger, err := s.store.Get(ctx, id)
	if err == nil {
		err = known(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	return &paymentv1.GetPaymentResponse{Payment: toPayment(p), Ledger: toLedger(ledger)}, nil
}

// ListPayments returns a page of payments.
func (s *server) ListPayments(
	ctx context.Context, r *paymentv1.ListPaymentsRequest,
) (*paymentv1.ListPaymentsResponse, error) {
	filter, err := fromList(r)
	if err == nil {
		err = listed(ctx, filter)
	}
	if err != nil {
		return nil, err
	}
	list := []string{"payments", filter.CustomerID, string(filter.Status)}
	after, err := page.Read(r.GetPageToken(), list...)
	if err != nil {
		return nil, err
	}
	payments, rest, err := s.store.List(ctx, filter, after.UUID(), page.Size(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	response := &paymentv1.ListPaymentsResponse{}
	at := func(last payment.Payment) page.Position { return page.AtUUID(last.ID) }
	response.Payments, response.NextPageToken = page.Cut(payments, toPayment, at, page.AfterUUID(rest), list...)
	return response, nil
}
