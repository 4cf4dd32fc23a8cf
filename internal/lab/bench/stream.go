package bench

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// mostTogether is how many orders a message carries at most.
const mostTogether = 100

// line is a stream of orders that several callers share. Their orders go out together as they come: nobody waits for
// others, but what comes while a message is written is the next one. When the stream ends, as it does from time to
// time, another takes over, and what was under way is sent again with the same request_id.
type line struct {
	*system
	orders orderv1.OrderServiceClient
	to     *recorder
	bell   wait.Bell // there is something to send

	mu       sync.Mutex
	sequence int64
	queue    []*ordered
	open     map[int64]*ordered // by sequence, from its first place in the queue until it is settled or given up
	closed   bool               // nobody hears of orders any more

	done []*ordered // of one message; for the goroutine of run
}

// ordered is an order on its way.
type ordered struct {
	sequence     int64
	request      *orderv1.CreateOrderRequest
	begin        time.Time
	acknowledged bool
	done         chan struct{} // has room for one
}

func newLine(s *system, orders orderv1.OrderServiceClient, to *recorder) *line {
	return &line{system: s, orders: orders, to: to, bell: wait.NewBell(), open: map[int64]*ordered{}}
}

// caller returns what one of the callers does.
func (l *line) caller() work {
	done := make(chan struct{}, 1)
	return func(_ context.Context, begin time.Time) {
		if l.order(&ordered{request: l.request(), begin: begin, done: done}) {
			<-done
		}
	}
}

// order has an order sent, and reports whether its caller will hear of it.
func (l *line) order(o *ordered) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.sequence++
	o.sequence = l.sequence
	l.open[o.sequence] = o
	l.queue = append(l.queue, o)
	l.bell.Ring()
	return true
}

// close lets everybody go who waits.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, o := range l.open {
		o.done <- struct{}{}
	}
	clear(l.open)
}

// run keeps a stream open until ctx ends, and with it the whole load.
func (l *line) run(ctx context.Context) {
	defer l.close()
	for ctx.Err() == nil {
		err := l.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, io.EOF) && !transient(err) {
			l.broke("a stream ended: %v", err)
		}
		l.to.repeated(err)
		l.requeue()
		wait.For(ctx, retryPause)
	}
}

// serve sends and receives on one stream until it ends.
func (l *line) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.orders.CreateOrders(ctx, grpc.ForceCodecV2(rpc.NewCodec())) // the messages as their bytes
	if err != nil {
		return err
	}
	var sender sync.WaitGroup
	sender.Go(func() { l.send(ctx, stream) })
	defer sender.Wait()
	defer cancel()
	var events []event
	for {
		var message rpc.Received
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
		if events, err = eventsIn(events[:0], message); err != nil {
			l.broke("a message on a stream is no CreateOrdersResponse: %v", err)
		}
		l.told(ctx, events, time.Now())
	}
}

// sending is the way out of a stream of orders.
type sending = grpc.BidiStreamingClient[orderv1.CreateOrdersRequest, orderv1.CreateOrdersResponse]

// send sends what is in the queue, as often as there is something. What fails the receiver is told.
func (l *line) send(ctx context.Context, stream sending) {
	for {
		select {
		case <-l.bell:
		case <-ctx.Done():
			return
		}
		runtime.Gosched() // whoever was told by the same message orders with this one
		for batch := l.take(); len(batch) > 0; batch = l.take() {
			if err := stream.Send(&orderv1.CreateOrdersRequest{Orders: batch}); err != nil {
				return
			}
		}
	}
}

// take takes as much out of the queue as a message carries.
func (l *line) take() []*orderv1.SequencedOrder {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), mostTogether)
	batch := make([]*orderv1.SequencedOrder, n)
	for i, o := range l.queue[:n] {
		batch[i] = &orderv1.SequencedOrder{Sequence: o.sequence, Order: o.request, TellSettled: true}
	}
	l.queue = slices.Delete(l.queue, 0, n)
	return batch
}

// requeue has everything sent again that is under way.
func (l *line) requeue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = l.queue[:0]
	for _, o := range l.open {
		l.queue = append(l.queue, o)
	}
	l.bell.Ring()
}

// told takes in events that came at a time, and lets those go whose orders are through.
func (l *line) told(ctx context.Context, events []event, now time.Time) {
	l.mu.Lock()
	for _, e := range events {
		l.event(ctx, e, now)
	}
	l.mu.Unlock()
	for _, o := range l.done { // who orders again at once finds the lock free
		o.done <- struct{}{}
	}
	l.done = l.done[:0]
}

// event takes in what became of an order; mu is held.
func (l *line) event(ctx context.Context, e event, now time.Time) {
	o := l.open[e.sequence]
	if o == nil {
		l.broke("an event about order %d of a stream, which is not under way", e.sequence)
		return
	}
	switch {
	case e.acknowledged:
		l.acknowledge(o, now)
	case e.completed, e.settled != nil:
		l.settle(o, e, now)
	case e.refused != nil:
		l.refuse(ctx, o, e.refused)
	default:
		l.broke("an event that says nothing about order %d of a stream", e.sequence)
	}
}

func (l *line) acknowledge(o *ordered, now time.Time) {
	if !o.acknowledged { // one that was sent again is acknowledged again
		o.acknowledged = true
		l.to.acknowledged(o.begin, now)
		l.placed.Add(1)
	}
}

func (l *line) settle(o *ordered, e event, now time.Time) {
	if !o.acknowledged {
		l.broke("order %d of a stream was settled before it was acknowledged", o.sequence)
	}
	if s := e.settled; s != nil {
		l.broke("order %s ended %v: %v", s.GetOrderId(), s.GetStatus(), s.GetCancelReason())
	}
	l.to.settled(o.begin, now)
	l.settled.Add(1)
	l.end(o)
}

// refuse sends an order again, if that may help.
func (l *line) refuse(ctx context.Context, o *ordered, e *orderv1.OrderError) {
	err := status.Error(codes.Code(e.GetCode()), e.GetReason()+": "+e.GetMessage())
	if !transient(err) {
		l.broke("an order was refused: %v", err)
		l.end(o)
		return
	}
	l.to.repeatedFor(e.GetReason())
	pause := max(e.GetRetryDelay().AsDuration(), retryPause)
	time.AfterFunc(pause/2+rand.N(pause), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if ctx.Err() == nil { // else the stream has ended, and whatever is open was put into the queue
			l.queue = append(l.queue, o)
			l.bell.Ring()
		}
	})
}

// end notes that nothing more comes of an order.
func (l *line) end(o *ordered) {
	delete(l.open, o.sequence)
	l.done = append(l.done, o)
}
