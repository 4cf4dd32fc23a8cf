package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

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
// command may take, the stream itself may be stuck, behind a link that looks alive: it is retired. It takes nothing
// more, keeps listening for what is still pending, and ends when that is answered or has been silent for a while.
type stream struct {
	grpc     paymentv1.PaymentService_ProcessPaymentsClient
	cancel   context.CancelFunc
	timeout  time.Duration
	database string                                    // that its paymentd has
	ended    func()                                    // is called when it has broken: somebody else may be there next
	notice   func(p *paymentv1.Payment, reason string) // is told of each answer
	serves   func()                                    // is told when somebody was served
	opened   time.Time

	sending sync.Mutex // a gRPC stream takes one sender at a time

	mu      sync.Mutex
	broken  bool
	retired bool
	heard   time.Time                  // when something came last
	served  time.Time                  // when something came last that is no outage's answer
	pending map[commandKey][]*delivery // more than one when a lease was shorter than its delivery
	queue   []*delivery                // by the time they were sent, answered ones included
	late    map[commandKey]*delivery   // those that were reported as silent
	missed  time.Time                  // when that happened last
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

// openStream opens a stream to the paymentd that has a database. It lives until it breaks or ctx ends. The opening
// itself is bounded by timeout, which runs since the given time.
func openStream(
	ctx context.Context, peer *acquaintance, database string, since time.Time,
) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	impatient := time.AfterFunc(peer.timeout-time.Since(since), cancel)
	opened, err := peer.client.ProcessPayments(ctx)
	if err == nil && database != "" {
		err = isOf(opened, database)
	}
	if !impatient.Stop() {
		err = errSilentPeer
	}
	if err != nil {
		cancel()
		return nil, err
	}
	s := &stream{
		grpc: opened, cancel: cancel, timeout: peer.timeout, database: database,
		notice: peer.notice, serves: peer.serves, ended: peer.forget, opened: time.Now(),
		pending: map[commandKey][]*delivery{}, late: map[commandKey]*delivery{}, added: wait.NewBell(),
	}
	go s.receive()
	go s.expire(ctx)
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
	return !s.broken && !s.retired
}

// retire has the stream take nothing more. It ends when what is pending is answered or silent.
func (s *stream) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
	s.added.Ring()
}

// send puts commands on the stream. An error means that the stream had ended and none of them was sent; later losses
// are reported, command by command.
func (s *stream) send(bulk []*delivery) error {
	request := &paymentv1.ProcessPaymentsRequest{}
	for _, d := range bulk {
		request.Commands = append(request.Commands, d.command)
	}
	if err := s.expect(bulk); err != nil {
		return err
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if err := s.grpc.Send(request); err != nil {
		s.cancel() // receive learns of it, and reports everything that is pending
	}
	failpoint.Here(failpoint.RelaySent)
	return nil
}

// expect notes deliveries as pending. Their time runs from here, so that a stream that takes nothing is noticed.
func (s *stream) expect(bulk []*delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errStreamEnded
	}
	for _, d := range bulk {
		d.sent = time.Now()
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
		s.hear(slices.ContainsFunc(reply.GetResults(), serves))
		for _, result := range reply.GetResults() {
			s.notice(result.GetPayment(), result.GetError().GetReason())
			key := commandKey{result.GetPaymentId(), result.GetKind()}
			late := s.takeLate(key)
			waiting := s.take(key)
			for _, d := range waiting {
				d.answer(func(r *outbox.Report) { interpret(r, d, result) })
			}
			if late != nil && len(waiting) == 0 {
				late.decidedLate(result)
			}
		}
	}
}

// hear notes that something came, and whether somebody was served by it.
func (s *stream) hear(served bool) {
	if served {
		s.serves()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	if served {
		s.served = s.heard
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

// take removes the deliveries of a key from those that are pending. Whoever takes them reports them.
func (s *stream) take(key commandKey) []*delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.pending[key]
	delete(s.pending, key)
	return taken
}

// close reports every pending command as unanswered: it may have been carried out, and the break may be its doing, but
// the code says nothing about it. An end that was planned is nobody's doing.
func (s *stream) close(err error) {
	s.cancel()
	s.ended()
	s.mu.Lock()
	s.broken = true
	lost := s.pending
	s.pending = map[commandKey][]*delivery{}
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

// expire reports commands as silent whose time is over, until the stream ends. All have the same timeout, so the queue
// is in the order of their ends.
func (s *stream) expire(ctx context.Context) {
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	for {
		for _, d := range s.overdue() {
			d.answer(func(r *outbox.Report) {
				r.Code = codeSilent
				d.silence.note(r)
			})
		}
		if s.done() {
			s.cancel() // which also frees whoever is stuck in Send
			return
		}
		timer.Reset(s.untilNext())
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.added:
		}
	}
}

// overdue takes the deliveries whose time is over.
func (s *stream) overdue() []*delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var over []*delivery
	for len(s.queue) > 0 && time.Since(s.queue[0].sent) >= s.timeout {
		d := s.queue[0]
		d.silence = s.silenceOf(d)
		s.queue = s.queue[1:]
		key := keyOf(d.message)
		i := slices.Index(s.pending[key], d)
		if i < 0 {
			continue // answered
		}
		over = append(over, d)
		if s.pending[key] = slices.Delete(s.pending[key], i, i+1); len(s.pending[key]) == 0 {
			delete(s.pending, key)
		}
		s.miss(d)
		s.retired = s.retired || s.heard.Before(d.sent)
	}
	return over
}

// done reports whether the stream was retired, nothing is pending any more, and nothing is listened for. Then it takes
// nothing more, either.
func (s *stream) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = s.broken || s.retired && len(s.pending) == 0 && !s.listens()
	return s.broken
}

// untilNext returns how long the oldest delivery still has.
func (s *stream) untilNext() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return s.timeout
	}
	return max(0, s.timeout-time.Since(s.queue[0].sent))
}
