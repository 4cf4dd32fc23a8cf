package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/rpc"
	"hosho/internal/wait"
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

// bank decides commands as paymentd would.
type bank interface {
	carryOut(context.Context, *paymentv1.PaymentCommand) (*paymentv1.Payment, error)
}

// step is what the peer does with one arrival of a command. decide has it carried out.
type step func(ctx context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error)

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
}

var (
	errBroken   = errors.New("the stream breaks")
	errNoAnswer = errors.New("no answer")
	errStops    = errors.New("the peer stops")
)

// fails returns an error as paymentd does on the stream; reason may be empty, wait 0.
func fails(code codes.Code, reason string, wait time.Duration) step {
	return func(context.Context, func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		return nil, failure(code, reason, wait)
	}
}

func failure(code codes.Code, reason string, wait time.Duration) error {
	var details []protoadapt.MessageV1
	if reason != "" {
		details = append(details, &errdetails.ErrorInfo{Reason: reason, Domain: rpc.Domain})
	}
	if wait != 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	st, err := status.New(code, "as the script says").WithDetails(details...)
	if err != nil {
		return err
	}
	return st.Err()
}

// loses carries the command out, and returns an error all the same.
func loses(code codes.Code) step {
	return func(_ context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		if _, err := decide(); err != nil {
			return nil, err
		}
		return nil, failure(code, "", 0)
	}
}

// breaks ends the stream with everything that is in flight on it.
func breaks(context.Context, func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
	return nil, errBroken
}

// stops ends the stream as a paymentd does that stops.
func stops(context.Context, func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
	return nil, errStops
}

// hangs never answers, and carries nothing out.
func hangs(ctx context.Context, _ func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
	<-ctx.Done()
	return nil, errNoAnswer
}

// holds carries the command out, and answers when told.
func holds(told <-chan struct{}) step {
	return func(ctx context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		p, err := decide()
		select {
		case <-told:
			return p, err
		case <-ctx.Done():
			return nil, errNoAnswer
		}
	}
}

// waits carries the command out, and answers after a while.
func waits(d time.Duration) step {
	return func(ctx context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		p, err := decide()
		if !wait.For(ctx, d) {
			return nil, errNoAnswer
		}
		return p, err
	}
}

// twists carries the command out, and returns something else.
func twists(twist func(*paymentv1.Payment)) step {
	return func(_ context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		p, err := decide()
		if err == nil {
			twist(p)
		}
		return p, err
	}
}

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
	p.arrivals = append(p.arrivals, arrival{k, alone, meantBy(c), together})
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

// ProcessPayments answers what the bank decides at once, message by message, and what scripts say as they say it.
func (p *peer) ProcessPayments(
	stream grpc.BidiStreamingServer[paymentv1.ProcessPaymentsRequest, paymentv1.ProcessPaymentsResponse],
) error {
	if err := p.introduce(stream); err != nil {
		return err
	}
	p.mu.Lock()
	deaf := p.deaf
	p.deaf = nil
	p.opened++
	p.mu.Unlock()
	if deaf != nil {
		<-stream.Context().Done()
		close(deaf)
		return nil
	}
	ctx, end := context.WithCancelCause(stream.Context())
	w := &replies{peer: p, stream: stream}
	go func() {
		var running sync.WaitGroup
		for {
			request, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				running.Wait() // what it has is finished
			}
			if err != nil {
				end(err)
				return
			}
			var plain []*paymentv1.PaymentCommand
			for _, c := range request.GetCommands() {
				do := p.arrive(c, false, len(request.GetCommands()))
				if p.isWedged(c) {
					w.close()
				}
				if do == nil {
					plain = append(plain, c)
					continue
				}
				running.Go(func() {
					if result := p.result(ctx, do, c, end); result != nil {
						w.write(result)
					}
				})
			}
			var results []*paymentv1.PaymentResult
			for _, c := range plain {
				if result := p.result(ctx, nil, c, end); result != nil {
					results = append(results, result)
				}
			}
			w.write(results...)
		}
	}()
	<-ctx.Done()
	w.close()
	switch err := context.Cause(ctx); {
	case errors.Is(err, errStops):
		return failure(codes.Unavailable, "STOPPING", 0)
	case !errors.Is(err, io.EOF):
		return status.Error(codes.Unavailable, err.Error())
	}
	return nil
}

func (p *peer) result(
	ctx context.Context, do step, c *paymentv1.PaymentCommand, end context.CancelCauseFunc,
) *paymentv1.PaymentResult {
	k := keyOfCommand(c)
	result := &paymentv1.PaymentResult{PaymentId: k.id, Kind: k.kind}
	got, err := p.perform(ctx, do, c)
	switch {
	case err == nil:
		result.Outcome = &paymentv1.PaymentResult_Payment{Payment: got}
	case errors.Is(err, errBroken), errors.Is(err, errStops):
		end(err)
		return nil
	case errors.Is(err, errNoAnswer):
		return nil
	default:
		refused := &paymentv1.PaymentError{Code: int32(status.Code(err)), Reason: rpc.Reason(err), Message: err.Error()}
		if wait := rpc.RetryDelay(err); wait != 0 {
			refused.RetryDelay = durationpb.New(wait)
		}
		result.Outcome = &paymentv1.PaymentResult_Error{Error: refused}
	}
	return result
}

// replies is the sending half of a stream: one sender at a time, and none when it has ended.
type replies struct {
	peer   *peer
	stream grpc.BidiStreamingServer[paymentv1.ProcessPaymentsRequest, paymentv1.ProcessPaymentsResponse]
	mu     sync.Mutex
	closed bool
}

func (r *replies) write(results ...*paymentv1.PaymentResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(results) == 0 {
		return
	}
	if send := r.peer.send; send != nil {
		_ = send(r.stream.Send, results) // a peer that is gone needs no answer
		return
	}
	_ = r.stream.Send(&paymentv1.ProcessPaymentsResponse{Results: results})
}

func (r *replies) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// memory is a bank without a database. Its rules are paymentd's own.
type memory struct {
	mu       sync.Mutex
	payments map[string]*paymentv1.Payment
	entries  map[string][]payment.Entry
}

func newMemory() *memory {
	return &memory{payments: map[string]*paymentv1.Payment{}, entries: map[string][]payment.Entry{}}
}

var wireStatus = map[payment.Status]paymentv1.Payment_Status{
	payment.None:    paymentv1.Payment_STATUS_UNSPECIFIED,
	payment.Charged: paymentv1.Payment_STATUS_CHARGED, payment.Declined: paymentv1.Payment_STATUS_DECLINED,
	payment.Voided: paymentv1.Payment_STATUS_VOIDED, payment.Refunded: paymentv1.Payment_STATUS_REFUNDED,
}

// asked returns what a charge and a void have in common.
func asked(c *paymentv1.PaymentCommand) interface {
	GetPaymentId() string
	GetCustomerId() string
	GetAmount() *moneyv1.Money
} {
	if c.GetVoid() != nil {
		return c.GetVoid()
	}
	return c.GetCharge()
}

func (b *memory) carryOut(_ context.Context, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	want := asked(c)
	p := b.payments[want.GetPaymentId()]
	if p == nil {
		p = &paymentv1.Payment{
			PaymentId: want.GetPaymentId(), CustomerId: want.GetCustomerId(), Amount: want.GetAmount(),
		}
		b.payments[want.GetPaymentId()] = p
	}
	command := payment.ChargeApproved
	if c.GetVoid() != nil {
		command = payment.Void
	}
	decision := payment.Apply(stored(p), command)
	p.Status = wireStatus[decision.Status]
	if decision.Entry != payment.NoEntry {
		b.entries[p.PaymentId] = append(b.entries[p.PaymentId], decision.Entry)
	}
	return proto.CloneOf(p), nil
}

func stored(p *paymentv1.Payment) payment.Status {
	for s, wire := range wireStatus {
		if p.GetStatus() == wire {
			return s
		}
	}
	panic("no such status")
}

// decided puts a payment down as decided earlier.
func (b *memory) decided(o order.Order, s payment.Status, reason paymentv1.Payment_DeclineReason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.payments[o.ID] = &paymentv1.Payment{
		PaymentId: o.ID, CustomerId: o.CustomerID, Amount: money(o), Status: wireStatus[s], DeclineReason: reason,
	}
	if s == payment.Charged || s == payment.Refunded {
		b.entries[o.ID] = append(b.entries[o.ID], payment.ChargeEntry)
	}
	if s == payment.Refunded {
		b.entries[o.ID] = append(b.entries[o.ID], payment.RefundEntry)
	}
}

// get returns the payment under a key and what the ledger holds of it.
func (b *memory) get(id string) (payment.Status, []payment.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return stored(b.payments[id]), b.entries[id]
}
