package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/rpc"
)

// maxBatches is how many requests of one stream are decided at a time. The next one is read only when one is done, so
// that a client which sends faster than it is served waits, and costs no memory.
const maxBatches = 4

// ProcessPayments decides commands in bulk.
//
// What is being decided when the stream ends is decided and answered to the end; what hangs is abandoned.
func (s *server) ProcessPayments(stream paymentv1.PaymentService_ProcessPaymentsServer) error {
	if err := s.introduce(stream); err != nil {
		return err
	}
	going, end := s.untilStop(stream.Context())
	defer end(nil)
	c := &conversation{server: s, stream: stream, going: going, end: end, batches: make(chan struct{}, maxBatches)}
	if err := c.read(); err != nil {
		end(err)
	}
	c.running.Wait() // nothing may be sent once this method has returned
	return context.Cause(going)
}

// introduce tells which database this is, and what its clock says, before anything is read: the client may want to send
// its commands nowhere else.
func (s *server) introduce(stream paymentv1.PaymentService_ProcessPaymentsServer) error {
	ctx, cancel := context.WithTimeout(stream.Context(), decideTimeout)
	defer cancel()
	is, err := s.store.Identity(ctx)
	if err != nil {
		return err
	}
	return stream.SendHeader(rpc.Introduction{Database: is.ID, Clock: is.Clock}.Header())
}

// conversation is one open stream.
type conversation struct {
	*server

	stream  paymentv1.PaymentService_ProcessPaymentsServer
	going   context.Context // ends, with the cause, when no more is read and nobody waits for what hangs
	end     context.CancelCauseFunc
	batches chan struct{}  // holds a token for each request that is being decided
	running sync.WaitGroup // whoever may still send
	sending sync.Mutex     // a stream takes one sender at a time
}

// read starts a batch for each request, until the client has sent its last one (nil) or the stream must end.
func (c *conversation) read() error {
	requests := c.receive()
	for {
		select {
		case c.batches <- struct{}{}:
		case <-c.going.Done():
			return context.Cause(c.going)
		}
		select {
		case r := <-requests:
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			if err := checkCommands(r.message); err != nil {
				return err
			}
			c.running.Go(func() { c.decideBatch(r.message, r.at) })
		case <-c.going.Done():
			return context.Cause(c.going)
		}
	}
}

type received struct {
	message *paymentv1.ProcessPaymentsRequest
	at      time.Time
	err     error
}

// receive hands on what the client sends. Recv cannot be interrupted while the stream is open: the goroutine ends a
// moment after ProcessPayments has returned, when gRPC has closed the stream.
func (c *conversation) receive() <-chan received {
	requests := make(chan received)
	go func() {
		for {
			message, err := c.stream.Recv()
			select {
			case requests <- received{message, time.Now(), err}:
			case <-c.going.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return requests
}

func (c *conversation) decideBatch(message *paymentv1.ProcessPaymentsRequest, arrived time.Time) {
	defer func() { <-c.batches }()
	defer c.rescue()
	commands := make([]command, len(message.GetCommands()))
	for i, m := range message.GetCommands() {
		commands[i] = fromCommand(m)
	}
	w := work{commands: commands, arrived: arrived, patience: c.patience, reply: c.reply}
	// The commands are those of many orders, and the deadline of the stream that they came over is its caller's alone.
	ctx := context.WithoutCancel(c.stream.Context())
	if asked := c.decide(ctx, w); asked != nil {
		c.running.Go(func() { _ = c.await(ctx, c.going, w, asked) }) // what is abandoned is answered by the end
	}
}

// reply sends answers and logs each. Its callers may be several goroutines.
func (c *conversation) reply(answers []answer) {
	defer c.rescue()
	response := &paymentv1.ProcessPaymentsResponse{Results: make([]*paymentv1.PaymentResult, len(answers))}
	for i, a := range answers {
		response.Results[i] = toResult(a)
		c.record(c.stream.Context(), response.Results[i], a)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.stream.Send(response); err != nil {
		c.end(err)
	}
}

// rescue ends the stream instead of the process when there is a panic.
func (c *conversation) rescue() {
	if p := recover(); p != nil {
		c.end(panicked(p))
	}
}
