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
	return func(ctx context.Context, begin time.Time) {
		l.mu.Lock()
		l.sequence++
		o := &ordered{sequence: l.sequence, request: l.request(), begin: begin, done: done}
		l.open[o.sequence] = o
		l.queue = append(l.queue, o)
		l.mu.Unlock()
		l.bell.Ring()
		select {
		case <-done:
		case <-ctx.Done(): // and with it the whole load
		}
	}
}

// run keeps a stream open until ctx ends.
func (l *line) run(ctx context.Context) {
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
	stream, err := l.orders.CreateOrders(ctx)
	if err != nil {
		return err
	}
	var sender sync.WaitGroup
	sender.Go(func() { l.send(ctx, stream) })
	defer sender.Wait()
	defer cancel()
	for {
		reply, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, e := range reply.GetEvents() {
			l.event(ctx, e)
		}
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

// event takes in what became of an order.
func (l *line) event(ctx context.Context, e *orderv1.OrderEvent) {
	l.mu.Lock()
	o := l.open[e.GetSequence()]
	l.mu.Unlock()
	if o == nil {
		l.broke("an event about order %d of a stream, which is not under way", e.GetSequence())
		return
	}
	switch outcome := e.GetOutcome().(type) {
	case *orderv1.OrderEvent_Acknowledged:
		l.acknowledge(o)
	case *orderv1.OrderEvent_Settled:
		l.settle(o, outcome.Settled)
	case *orderv1.OrderEvent_Refused:
		l.refuse(ctx, o, outcome.Refused)
	default:
		l.broke("an event that says nothing about order %d of a stream", e.GetSequence())
	}
}

func (l *line) acknowledge(o *ordered) {
	if !o.acknowledged { // one that was sent again is acknowledged again
		o.acknowledged = true
		l.to.acknowledged(o.begin, time.Now())
		l.placed.Add(1)
	}
}

func (l *line) settle(o *ordered, e *orderv1.OrderSettled) {
	if !o.acknowledged {
		l.broke("order %s was settled before it was acknowledged", e.GetOrderId())
	}
	if e.GetStatus() != orderv1.Order_STATUS_COMPLETED {
		l.broke("order %s ended %v: %v", e.GetOrderId(), e.GetStatus(), e.GetCancelReason())
	}
	l.to.settled(o.begin, time.Now())
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

// end tells the caller that nothing more comes.
func (l *line) end(o *ordered) {
	l.mu.Lock()
	delete(l.open, o.sequence)
	l.mu.Unlock()
	o.done <- struct{}{}
}
