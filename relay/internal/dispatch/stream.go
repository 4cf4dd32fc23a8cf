package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/failpoint"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// stream is one ProcessPayments stream with the commands that are on their way over it. Each command is answered by its
// key and kind, is reported as silent when its time is over, or is reported as unanswered when the stream breaks:
// exactly one of the three. Should a decision come for one that was silent, it is reported as well, as Late.
//
// One command that hangs says nothing about the stream (see silence). But when nothing at all came for as long as a
// command may take, the stream itself may be stuck, behind a link that looks alive: until something comes again, it
// takes nothing more. One that is left for another takes nothing more either, and says so to paymentd. It ends when
// what is pending is answered, or has been silent for a while.
type stream struct {
	grpc     paymentv1.PaymentService_ProcessPaymentsClient
	cancel   context.CancelFunc
	peer     *acquaintance
	memory   *memory
	timeout  time.Duration // of a command
	listen   time.Duration // after the last silence
	database string        // that its paymentd has
	opened   time.Time
	until    time.Time // when it is to be left for another one; its streams' own

	sending sync.Mutex // a gRPC stream takes one sender at a time

	mu      sync.Mutex
	broken  bool
	left    bool
	deaf    bool // once it is left and nothing is pending, nothing is listened for
	silent  bool // a command had its time, and nothing came
	senders int
	heard   time.Time                  // when something came last
	served  time.Time                  // when what was served over it was sent: the latest of that
	pending map[commandKey][]*delivery // more than one when a lease was shorter than its delivery
	queue   []*delivery                // by the time they were sent, from the first on that is pending
	missed  time.Time                  // when a delivery was reported as silent last
	added   wait.Bell
}

type commandKey struct {
	id   string
	kind paymentv1.PaymentResult_Kind
}

func keyOf(m outbox.Message) commandKey {
	kind := paymentv1.PaymentResult_KIND_CHARGE
	if order.Command(m.Kind) == order.Void {
		kind = paymentv1.PaymentResult_KIND_VOID
	}
	return commandKey{m.Key, kind}
}

// openTo opens a stream to the paymentd that has a database. It lives until it breaks or the Dispatcher is closed; ctx
// bounds the opening alone.
func (l *streams) openTo(ctx context.Context, database string) (*stream, error) {
	living, cancel := context.WithCancel(l.ctx)
	impatient := context.AfterFunc(ctx, cancel)
	opened, err := l.peer.client.ProcessPayments(living, grpc.ForceCodecV2(newWire()))
	if err == nil && database != "" {
		err = isOf(opened, database)
	}
	if !impatient() {
		err = errSilentPeer
	}
	if err != nil {
		cancel()
		if errors.Is(err, ErrStranger) {
			l.peer.forget()
		}
		return nil, err
	}
	s := &stream{
		grpc: opened, cancel: cancel, peer: l.peer, memory: l.memory,
		timeout: l.config.Timeout, listen: l.config.listen(), database: database, opened: time.Now(),
		pending: map[commandKey][]*delivery{}, added: wait.NewBell(),
	}
	go s.receive()
	go s.expire(living)
	return s, nil
}

// isOf reads in a stream's header, which comes before anything is sent, which database is at its other end: what was
// asked before may have been another paymentd behind the same address.
func isOf(opened paymentv1.PaymentService_ProcessPaymentsClient, database string) error {
	header, err := opened.Header()
	if err != nil {
		return err
	}
	told := rpc.ReadIntroduction(header).Database
	if told == database {
		return nil
	}
	if header == nil { // it ended without one
		if _, err := opened.Recv(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: got %.64q on the stream, want %s", ErrStranger, told, database)
}

// usable reports whether commands should be put on the stream.
func (s *stream) usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.broken && !s.left && !s.silent
}

func (s *stream) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// leave has the stream take nothing more. It ends when what is pending is answered or silent.
func (s *stream) leave() {
	s.mu.Lock()
	s.left = true
	last := s.senders == 0
	s.mu.Unlock()
	if last {
		s.sayLast()
	}
}

// stopListening has a stream that was left end as soon as nothing is pending.
func (s *stream) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = true
	s.added.Ring()
}

// sayLast tells paymentd that nothing more comes. It finishes what it has, and ends the stream.
func (s *stream) sayLast() {
	_ = s.grpc.CloseSend() // a stream that has ended needs none
	s.added.Ring()
}

// send puts commands on the stream. An error means that the stream had ended and none of them was sent; later losses
// are reported, command by command.
func (s *stream) send(bulk []*delivery) error {
	request := encode(bulk, s.database)
	if err := s.expect(bulk); err != nil {
		return err
	}
	defer s.sent()
	s.sending.Lock()
	defer s.sending.Unlock()
	if err := s.grpc.SendMsg(request); err != nil {
		s.cancel() // receive learns of it, and reports everything that is pending
	}
	failpoint.Here(failpoint.RelaySent)
	return nil
}

// sent notes that a sender is done.
func (s *stream) sent() {
	s.mu.Lock()
	s.senders--
	last := s.left && s.senders == 0
	s.mu.Unlock()
	if last {
		s.sayLast()
	}
}

// expect notes deliveries as pending. Their time runs from here, so that a stream that takes nothing is noticed.
func (s *stream) expect(bulk []*delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken || s.left {
		return errStreamEnded
	}
	s.senders++
	now := time.Now()
	for _, d := range bulk {
		d.sent = now
		s.pending[keyOf(d.message)] = append(s.pending[keyOf(d.message)], d)
		s.queue = append(s.queue, d)
	}
	s.added.Ring()
	return nil
}

// receive reports answers until the stream breaks, and then everything that got none.
func (s *stream) receive() {
	for {
		reply, err := s.grpc.Recv()
		if err != nil {
			s.close(err)
			return
		}
		s.hear()
		for _, result := range reply.GetResults() {
			s.take(result)
		}
	}
}

// hear notes that something came.
func (s *stream) hear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard, s.silent = time.Now(), false
}

// take reports what a result says to those whose it is. Where a command was sent again on this stream, the first result
// is the first delivery's; what it decides is decided for all.
func (s *stream) take(result *paymentv1.PaymentResult) {
	s.peer.notice(result.GetPayment(), result.GetError().GetReason())
	key := commandKey{result.GetPaymentId(), result.GetKind()}
	late, waiting := s.memory.take(s, key), s.takePending(key)
	if serves(result) {
		s.serve(late, waiting)
	}
	for _, d := range waiting {
		d.answer(func(r *outbox.Report) { interpret(r, d, result) })
	}
	if late != nil && len(waiting) == 0 {
		s.memory.hear(late, result)
	}
}

// serves reports whether a result is an answer about its command, and not what everybody is told in an outage.
func serves(result *paymentv1.PaymentResult) bool {
	e := result.GetError()
	return e == nil || !slices.Contains([]outbox.Result{outbox.Blocked, outbox.Deferred},
		meaning(codeOf(e), e.GetReason()))
}

func interpret(r *outbox.Report, d *delivery, result *paymentv1.PaymentResult) {
	switch outcome := result.GetOutcome().(type) {
	case *paymentv1.PaymentResult_Payment:
		decide(r, askedBy(d.command), outcome.Payment)
	case *paymentv1.PaymentResult_Error:
		refusalIn(outcome.Error).apply(r)
	default:
		r.Result, r.Code = outbox.Ambiguous, codeUnknown
	}
}

// serve notes that somebody was served: the first of those who asked.
func (s *stream) serve(late *delivery, waiting []*delivery) {
	first := late
	switch {
	case late != nil:
	case len(waiting) > 0:
		first = waiting[0]
	default:
		return
	}
	s.peer.serves(first.sent)
	s.mu.Lock()
	defer s.mu.Unlock()
	if first.sent.After(s.served) {
		s.served = first.sent
	}
}

// takePending removes the deliveries of a key from those that are pending. Whoever takes them reports them.
func (s *stream) takePending(key commandKey) []*delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.pending[key]
	delete(s.pending, key)
	for _, d := range taken {
		d.over = true
	}
	s.shorten()
	return taken
}

// shorten lets go of those at the head of the queue that are not pending any more. They would else be kept for as long
// as a command may take, all of a second's thousands of them. The caller holds s.mu.
func (s *stream) shorten() {
	for len(s.queue) > 0 && s.queue[0].over {
		s.queue[0] = nil
		s.queue = s.queue[1:]
	}
}

// close reports every pending command as unanswered: it may have been carried out, and the break may be its doing, but
// the code says nothing about it. An end that was planned is nobody's doing.
func (s *stream) close(err error) {
	s.cancel()
	s.memory.forget(s)
	s.mu.Lock()
	if !s.left {
		s.peer.forget() // somebody else may be there next
	}
	s.broken = true
	lost := s.pending
	s.pending, s.queue = map[commandKey][]*delivery{}, nil
	s.mu.Unlock()
	f, old := refusalOf(err), time.Since(s.opened) >= youth
	f.planned = f.planned && (old || !errors.Is(err, io.EOF))
	for _, deliveries := range lost {
		for _, d := range deliveries {
			d.answer(func(r *outbox.Report) {
				f.blocks(r)
				planned := r.Result == outbox.Deferred
				r.Unanswered, r.Lost, r.Immediate = !planned, !planned, planned && old
			})
		}
	}
}

// youth is the age before which no stream is ended in order with commands on it: who does that is broken. It also keeps
// commands from being tried again at once for ever.
const youth = time.Second
