package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/rpc"
	"hosho/internal/trace"
)

// peer is a paymentd that does what a test says: a real gRPC server at the other end of a real connection. What no
// script speaks of, its bank decides.
//
// It listens on a Unix socket, so that it can come back to its address without racing anybody for a port.
type peer struct {
	paymentv1.UnimplementedPaymentServiceServer

	t       testing.TB
	socket  string
	through string              // where relays reach it, unless that is the socket
	options []grpc.ServerOption // of its next server
	bank    bank

	mu       sync.Mutex
	server   *grpc.Server
	scripts  map[commandKey]*script
	arrivals []arrival
	send     func(reply func(*paymentv1.ProcessPaymentsResponse) error, results []*paymentv1.PaymentResult) error
	deaf     chan struct{} // the next stream is never read from; closed when that stream has ended
	opened   int           // streams
	wedges   string        // the payment that silences the stream which it comes over, for all; alone, it only hangs
	says     introduction
}

// introduction is what a peer says of its database. Without an identity it is a paymentd of an earlier release.
type introduction struct {
	database string
	ahead    time.Duration // of its clock
	only     bool          // it says so when it is asked, and not on the stream: that goes to a peer who says header
	header   string
}

type script struct {
	steps []step // in turn
	rest  step   // afterwards; nil: the bank's
}

// arrival is a command that reached the peer.
type arrival struct {
	commandKey
	alone    bool   // in a call of its own
	meant    string // the payments database
	together int    // commands in the same message

	traceparent string
}

var (
	errBroken   = errors.New("the stream breaks")
	errNoAnswer = errors.New("no answer")
	errStops    = errors.New("the peer stops")
)

func newPeer(t testing.TB, b bank) *peer {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &peer{t: t, socket: filepath.Join(dir, "s"), bank: b, scripts: map[commandKey]*script{}}
}

func (p *peer) target() string {
	if p.through != "" {
		return p.through
	}
	return "unix://" + p.socket
}

func (p *peer) start() {
	p.t.Helper()
	p.serve(p.listen())
}

// listen has the kernel take connections, and nobody answer them: a process that is frozen looks like that.
func (p *peer) listen() net.Listener {
	p.t.Helper()
	_ = os.Remove(p.socket) // of a peer that was killed; there may be none
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		p.t.Fatal(err)
	}
	return listener
}

func (p *peer) serve(listener net.Listener) {
	server := grpc.NewServer(append(p.options, grpc.WaitForHandlers(true))...)
	paymentv1.RegisterPaymentServiceServer(server, p)
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	go server.Serve(listener)
}

// kill ends the server with everything that is in flight.
func (p *peer) kill() {
	p.mu.Lock()
	server := p.server
	p.server = nil
	p.mu.Unlock()
	if server != nil {
		server.Stop()
	}
}

// script says what becomes of the next arrivals of a command; those after them are the bank's.
func (p *peer) script(id string, kind order.Command, steps ...step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scripts[key(id, kind)] = &script{steps: steps}
}

// always says what becomes of every arrival of a command; nil gives them back to the bank.
func (p *peer) always(id string, kind order.Command, rest step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scripts[key(id, kind)] = &script{rest: rest}
}

// commandKey is what a command is answered by.
type commandKey struct {
	id   string
	kind paymentv1.PaymentResult_Kind
}

func key(id string, kind order.Command) commandKey {
	if kind == order.Void {
		return commandKey{id, paymentv1.PaymentResult_KIND_VOID}
	}
	return commandKey{id, paymentv1.PaymentResult_KIND_CHARGE}
}

// arrived returns the arrivals of a command.
func (p *peer) arrived(id string, kind order.Command) []arrival {
	all := p.all()
	return slices.DeleteFunc(all, func(a arrival) bool { return a.commandKey != key(id, kind) })
}

func (p *peer) all() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.arrivals)
}

// arrive notes an arrival and returns what to do with it, nil for the bank's answer.
func (p *peer) arrive(c *paymentv1.PaymentCommand, alone bool, together int) step {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := keyOfCommand(c)
	p.arrivals = append(p.arrivals, arrival{k, alone, meantBy(c), together, c.GetTraceparent()})
	s := p.scripts[k]
	if k.id == p.wedges && alone {
		return hangs
	}
	if s == nil {
		return nil
	}
	if len(s.steps) == 0 {
		return s.rest
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	return next
}

// wedge has a payment silence each stream that it comes over; "" is none.
func (p *peer) wedge(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wedges = id
}

func (p *peer) isWedged(c *paymentv1.PaymentCommand) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return keyOfCommand(c).id == p.wedges
}

func meantBy(c *paymentv1.PaymentCommand) string {
	if c.GetVoid() != nil {
		return c.GetVoid().GetPaymentsDatabase()
	}
	return c.GetCharge().GetPaymentsDatabase()
}

// say changes what the peer says of its database, also to who asks again on a stream that is open.
func (p *peer) say(i introduction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.says = i
}

func (p *peer) saying() introduction {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.says
}

func (p *peer) GetDatabase(
	ctx context.Context, r *paymentv1.GetDatabaseRequest,
) (*paymentv1.GetDatabaseResponse, error) {
	i := p.saying()
	if i.database == "" {
		return p.UnimplementedPaymentServiceServer.GetDatabase(ctx, r)
	}
	return &paymentv1.GetDatabaseResponse{
		PaymentsDatabase: i.database, ClockTime: timestamppb.New(time.Now().Add(i.ahead)),
	}, nil
}

// introduce sends the header that paymentd sends.
func (p *peer) introduce(stream grpc.ServerStream) error {
	i := p.saying()
	if i.database == "" {
		return nil
	}
	says := rpc.Introduction{Database: i.database, Clock: time.Now().Add(i.ahead)}
	if i.only {
		says.Database = i.header
	}
	return stream.SendHeader(says.Header())
}

func keyOfCommand(c *paymentv1.PaymentCommand) commandKey {
	if c.GetVoid() != nil {
		return key(c.GetVoid().GetPaymentId(), order.Void)
	}
	return key(c.GetCharge().GetPaymentId(), order.Charge)
}

func (p *peer) ChargePayment(
	ctx context.Context, r *paymentv1.ChargePaymentRequest,
) (*paymentv1.ChargePaymentResponse, error) {
	got, err := p.call(ctx, &paymentv1.PaymentCommand{Command: &paymentv1.PaymentCommand_Charge{Charge: r}})
	if err != nil {
		return nil, err
	}
	return &paymentv1.ChargePaymentResponse{Payment: got}, nil
}

func (p *peer) VoidPayment(
	ctx context.Context, r *paymentv1.VoidPaymentRequest,
) (*paymentv1.VoidPaymentResponse, error) {
	got, err := p.call(ctx, &paymentv1.PaymentCommand{Command: &paymentv1.PaymentCommand_Void{Void: r}})
	if err != nil {
		return nil, err
	}
	return &paymentv1.VoidPaymentResponse{Payment: got}, nil
}

func (p *peer) call(ctx context.Context, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	c.Traceparent = trace.Sent(ctx)
	do := p.arrive(c, true, 1)
	got, err := p.perform(ctx, do, c)
	switch { // no reasons: as the transport would have said
	case errors.Is(err, errBroken):
		err = status.Error(codes.Unavailable, err.Error())
	// the caller's time is over here, too, and it may hear of that before it notices itself
	case errors.Is(err, errNoAnswer):
		err = status.FromContextError(ctx.Err()).Err()
	}
	return got, err
}

func (p *peer) perform(ctx context.Context, do step, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	decide := func() (*paymentv1.Payment, error) {
		i := p.saying()
		if meant := meantBy(c); i.database != "" && meant != "" && meant != i.database {
			return nil, failure(codes.Unavailable, "WRONG_PAYMENTS_DATABASE", 0)
		}
		got, err := p.bank.carryOut(ctx, c)
		if err == nil {
			got.UpdateTime = timestamppb.New(time.Now().Add(i.ahead))
		}
		return got, err
	}
	if do == nil {
		return decide()
	}
	return do(ctx, decide)
}

var wireStatus = map[payment.Status]paymentv1.Payment_Status{
	payment.None:    paymentv1.Payment_STATUS_UNSPECIFIED,
	payment.Charged: paymentv1.Payment_STATUS_CHARGED, payment.Declined: paymentv1.Payment_STATUS_DECLINED,
	payment.Voided: paymentv1.Payment_STATUS_VOIDED, payment.Refunded: paymentv1.Payment_STATUS_REFUNDED,
}
