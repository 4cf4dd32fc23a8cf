package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/crew"
	"hosho/internal/rpc"
)

// ProcessPayments decides commands in bulk.
//
// What is being decided when the stream ends is decided to the end, and answered if it can be; what hangs is abandoned.
func (s *server) ProcessPayments(stream paymentv1.PaymentService_ProcessPaymentsServer) error {
	leave, err := s.room.streams.Open(stream.Context())
	if err != nil {
		return err
	}
	defer leave()
	if err := s.introduce(stream); err != nil {
		return err
	}
	going, end := s.untilStop(stream.Context())
	defer end(nil)
	c := &conversation{
		server: s, stream: stream, going: going, end: end,
		own: make(chan struct{}, 1), batches: make(chan struct{}, maxBatches), sending: make(chan struct{}, 1),
	}
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
	own     chan struct{}  // the token of the request that may be at work whatever other streams do
	batches chan struct{}  // holds a token for each request that is at work
	running sync.WaitGroup // whoever may still send
	sending chan struct{}  // holds a token while a reply is sent: a stream takes one sender at a time
	unread  bool           // nobody takes the replies; guarded by sending
}

// read starts a batch for each request, until the client has sent its last one (nil) or the stream must end.
func (c *conversation) read() error {
	requests := c.receive()
	for {
		select {
		case r := <-requests:
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			c.running.Add(1)
			crew.Go(func() {
				defer c.running.Done()
				defer r.leave()
				c.decideBatch(r)
			})
		case <-c.going.Done():
			return context.Cause(c.going)
		}
	}
}

// received is a request as it came.
type received struct {
	bytes []byte
	at    time.Time
	leave func() // gives its place back
	err   error
}

// receive hands on what the client sends, when there is room for it. Recv cannot be interrupted while the stream is
// open: the goroutine ends a moment after ProcessPayments has returned, when gRPC has closed the stream.
func (c *conversation) receive() <-chan received {
	requests := make(chan received)
	go func() {
		for {
			r := c.receiveOne()
			select {
			case requests <- r:
			case <-c.going.Done():
				if r.leave != nil {
					r.leave()
				}
				return
			}
			if r.err != nil {
				return
			}
		}
	}()
	return requests
}

// receiveOne receives a request and waits for a place for it. The client, which sends faster than it is served or does
// not read what it is answered, waits meanwhile, and what it has sent costs no more than its bytes: a message of few
// bytes may hold many commands, each of which costs hundreds.
func (c *conversation) receiveOne() received {
	var message rpc.Received
	if err := c.stream.RecvMsg(&message); err != nil {
		return received{err: err}
	}
	r := received{bytes: message, at: time.Now()}
	if r.err = checkCommands(r.bytes); r.err != nil {
		return r
	}
	if acquire(c.going, c.sending) { // what was answered is taken
		<-c.sending
		r.leave = c.room.begin(c.going, c.own, c.batches)
	}
	if r.leave == nil {
		r.err = context.Cause(c.going)
	}
	return r
}

func (c *conversation) decideBatch(r received) {
	defer c.rescue()
	commands, err := fromBytes(r.bytes)
	if err != nil {
		c.end(err)
		return
	}
	w := work{
		commands: commands, arrived: r.at, patience: c.patience,
		reply:   c.traced(r.at, oteltrace.SpanKindServer, c.reply),
		charges: atOnce, lookups: waiting(c.lanes.lookups),
	}
	// The commands are those of many orders, and the deadline of the stream that they came over is its caller's alone.
	ctx := context.WithoutCancel(c.stream.Context())
	if asked := c.decide(ctx, w); asked != nil {
		c.running.Go(func() { _ = c.await(ctx, c.going, w, asked) }) // what is abandoned is answered by the end
	}
}

const (
	// maxReply is how large a message of replies gets, in bytes, unless a single one is larger. It is what a client
	// that does not read holds of this process's memory with each.
	maxReply = 31 << 10
	// usualResult is how large a result is, or less.
	usualResult = 220
)

// reply sends answers and logs each. Its callers may be several goroutines.
func (c *conversation) reply(answers []answer) {
	defer c.rescue()
	response := make([]byte, 0, min(len(answers)*usualResult, maxReply+usualResult))
	for i := range answers {
		a, before := &answers[i], len(response)
		refusal := toPaymentError(a.err)
		c.record(c.stream.Context(), a, refusal)
		var err error
		if response, err = appendResult(response, a, refusal); err != nil {
			c.end(err)
			return
		}
		if before > 0 && len(response) > maxReply {
			last := response[before:]
			c.send(response[:before])
			response = append(make([]byte, 0, min((len(answers)-i)*usualResult, maxReply+usualResult)), last...)
		}
	}
	c.send(response)
}

// send ends the stream when the client does not take what is sent.
func (c *conversation) send(response rpc.Encoded) {
	c.sending <- struct{}{}
	defer func() { <-c.sending }()
	if c.unread {
		return
	}
	if err := rpc.SendWithin(c.sendTimeout, func() error { return c.stream.SendMsg(response) }); err != nil {
		c.unread = true
		c.end(err)
	}
}

// rescue ends the stream instead of the process when there is a panic.
func (c *conversation) rescue() {
	if p := recover(); p != nil {
		c.end(panicked(p))
	}
}
