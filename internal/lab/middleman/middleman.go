// Package middleman stands between the relays and paymentd, and misbehaves as peers and networks do: it answers any
// code before or after the payment service has decided, loses replies, answers for another payment, holds requests
// back, sends them twice, and sends them again when everything is over.
//
// Its promise: what it is not told to play a trick on it carries faithfully, and what it does reaches the payment
// service as a request that a relay has made, or not at all.
package middleman

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/identity"
	"hosho/internal/proc"
	"hosho/internal/rpc"
)

// callTimeout bounds a call to the payment service that no relay waits for any more.
const callTimeout = 30 * time.Second

// Behaviour says what to do with commands.
type Behaviour struct {
	Trick Trick
	Share float64 // of the commands that it is played on, from 0 to 1
	Voids bool    // played on voids alone
}

// Middleman is a payment service that asks another one.
type Middleman struct {
	paymentv1.UnimplementedPaymentServiceServer

	client   paymentv1.PaymentServiceClient
	conn     *grpc.ClientConn
	listener net.Listener
	server   *grpc.Server
	running  context.Context // ends with Close
	end      context.CancelFunc
	work     sync.WaitGroup

	behaviour atomic.Pointer[Behaviour]
	played    atomic.Int64

	mu     sync.Mutex
	random *rand.Rand
}

// Disguise is the certificates by which both sides take a Middleman for the other one. The zero value is none, where
// there are no certificates.
type Disguise struct {
	Paymentd, Relay *identity.Keeper
}

func (d Disguise) server() *grpc.Server {
	if d.Paymentd == nil {
		return grpc.NewServer()
	}
	return grpc.NewServer(grpc.Creds(d.Paymentd.Server(nil)))
}

func (d Disguise) dial(paymentd string) (*grpc.ClientConn, error) {
	if d.Paymentd == nil {
		return rpc.Dial(paymentd)
	}
	return rpc.Dial(paymentd, rpc.As(d.Relay, d.Paymentd.ID()))
}

// New makes a Middleman in front of the payment service at an address, which serves on an address of its own until
// Close. The seed decides on whom it plays its tricks.
func New(paymentd string, seed uint64, as Disguise) (*Middleman, error) {
	listener, err := proc.Listen()
	if err != nil {
		return nil, err
	}
	conn, err := as.dial(paymentd)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	running, end := context.WithCancel(context.Background())
	m := &Middleman{
		client: paymentv1.NewPaymentServiceClient(conn), conn: conn, listener: listener, server: as.server(),
		running: running, end: end, random: rand.New(rand.NewPCG(seed, 0)),
	}
	paymentv1.RegisterPaymentServiceServer(m.server, m)
	m.work.Go(func() { _ = m.server.Serve(listener) }) // ends with Stop
	return m, nil
}

// Address is where it serves.
func (m *Middleman) Address() string { return m.listener.Addr().String() }

// Behave changes what it does with the commands that come from now on.
func (m *Middleman) Behave(b Behaviour) { m.behaviour.Store(&b) }

// Played returns how many commands it has played a trick on.
func (m *Middleman) Played() int64 { return m.played.Load() }

// Close ends everything that is under way.
func (m *Middleman) Close() error {
	m.end()
	m.server.Stop()
	m.work.Wait()
	return m.conn.Close()
}

// trickFor returns the trick to play on a command, nil for none.
func (m *Middleman) trickFor(c *paymentv1.PaymentCommand) func(*call) (*paymentv1.Payment, error) {
	b := m.behaviour.Load()
	if b == nil || b.Trick == nil || b.Voids && c.GetVoid() == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.random.Float64() >= b.Share {
		return nil
	}
	m.played.Add(1)
	random := rand.New(rand.NewPCG(m.random.Uint64(), 0))
	return func(c *call) (*paymentv1.Payment, error) { return b.Trick(c, random) }
}

// ChargePayment carries a charge that a relay sends alone.
func (m *Middleman) ChargePayment(
	ctx context.Context, r *paymentv1.ChargePaymentRequest,
) (*paymentv1.ChargePaymentResponse, error) {
	p, err := m.one(ctx, &paymentv1.PaymentCommand{Command: &paymentv1.PaymentCommand_Charge{Charge: r}})
	if err != nil {
		return nil, err
	}
	return &paymentv1.ChargePaymentResponse{Payment: p}, nil
}

// VoidPayment carries a void that a relay sends alone.
func (m *Middleman) VoidPayment(
	ctx context.Context, r *paymentv1.VoidPaymentRequest,
) (*paymentv1.VoidPaymentResponse, error) {
	p, err := m.one(ctx, &paymentv1.PaymentCommand{Command: &paymentv1.PaymentCommand_Void{Void: r}})
	if err != nil {
		return nil, err
	}
	return &paymentv1.VoidPaymentResponse{Payment: p}, nil
}

// GetDatabase tells the relay what the payment service tells of itself.
func (m *Middleman) GetDatabase(
	ctx context.Context, r *paymentv1.GetDatabaseRequest,
) (*paymentv1.GetDatabaseResponse, error) {
	return m.client.GetDatabase(ctx, r)
}

func (m *Middleman) one(ctx context.Context, c *paymentv1.PaymentCommand) (*paymentv1.Payment, error) {
	asked := &call{middleman: m, command: c}
	trick := m.trickFor(c)
	if trick == nil {
		return asked.carryOut(ctx)
	}
	p, err := trick(asked)
	if errors.Is(err, errSilent) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return p, err
}

// ProcessPayments carries a stream: what is played a trick on goes its own way, the rest goes on together.
func (m *Middleman) ProcessPayments(down paymentv1.PaymentService_ProcessPaymentsServer) error {
	ctx, cancel := context.WithCancel(down.Context())
	defer cancel()
	up, err := m.client.ProcessPayments(ctx)
	if err != nil {
		return err
	}
	header, err := up.Header() // which comes before the first request, and tells whose database it is
	if err != nil {
		return err
	}
	if err := down.SendHeader(header); err != nil {
		return err
	}
	s := &stream{middleman: m, down: down}
	ended := make(chan error, 2)
	s.work.Go(func() { ended <- s.answers(up) })
	go func() { ended <- s.requests(ctx, up) }() // Recv returns when this method has
	err = <-ended
	cancel()
	s.close()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// stream is one ProcessPayments stream of a relay.
type stream struct {
	middleman *Middleman
	down      paymentv1.PaymentService_ProcessPaymentsServer
	work      sync.WaitGroup

	mu     sync.Mutex
	closed bool // nothing may be sent any more
}

func (s *stream) requests(ctx context.Context, up paymentv1.PaymentService_ProcessPaymentsClient) error {
	for {
		request, err := s.down.Recv()
		if err != nil {
			return err
		}
		honest := &paymentv1.ProcessPaymentsRequest{}
		for _, c := range request.GetCommands() {
			if trick := s.middleman.trickFor(c); trick != nil {
				s.middleman.work.Go(func() { s.play(trick, c) })
			} else {
				honest.Commands = append(honest.Commands, c)
			}
		}
		if len(honest.GetCommands()) == 0 {
			continue
		}
		if err := up.Send(honest); err != nil {
			<-ctx.Done() // answers knows why
			return ctx.Err()
		}
	}
}

func (s *stream) answers(up paymentv1.PaymentService_ProcessPaymentsClient) error {
	for {
		response, err := up.Recv()
		if err != nil {
			return err
		}
		if err := s.send(response); err != nil {
			return err
		}
	}
}

// play answers one command by a trick, as long as the relay listens.
func (s *stream) play(trick func(*call) (*paymentv1.Payment, error), c *paymentv1.PaymentCommand) {
	asked := &call{middleman: s.middleman, command: c}
	p, err := trick(asked)
	if errors.Is(err, errSilent) {
		return
	}
	// it may have gone
	_ = s.send(&paymentv1.ProcessPaymentsResponse{Results: []*paymentv1.PaymentResult{asked.result(p, err)}})
}

func (s *stream) send(response *paymentv1.ProcessPaymentsResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return io.EOF
	}
	return s.down.Send(response)
}

func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.work.Wait()
}
