package main

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
	"hosho/internal/order"
	"hosho/internal/validate"
)

const (
	maxWait = 9 * time.Second // less than callTimeout
	// answerAhead is how long before a caller's deadline he is answered: an order that is committed is no error.
	answerAhead = 100 * time.Millisecond
)

// fromWait returns how long an answer may wait.
func fromWait(f *validate.Fields, sent *durationpb.Duration) time.Duration {
	wait := sent.AsDuration()
	if sent.CheckValid() != nil && sent != nil || wait < 0 || wait > maxWait {
		f.Add("wait", "got %d s and %d ns, want 0 to %s", sent.GetSeconds(), sent.GetNanos(), maxWait)
	}
	return wait
}

// expectation is a call that waits until its order is settled. The nil expectation waits for nothing.
type expectation struct {
	hub    *hub
	alarms *alarms
	news   latest
	id     string // of the order
	wait   time.Duration
	leave  func()
}

// expect has a call wait for an order that it is about to place: its place is had before, so that nobody is refused
// whose order is committed, and it hears of what comes right after the commit. end must be called.
func (s *server) expect(
	ctx context.Context, r *orderv1.CreateOrderRequest, id string, wait time.Duration,
) (*expectation, error) {
	if wait == 0 {
		return nil, nil
	}
	leave, err := s.lanes.watchers.Enter(ctx)
	if err != nil {
		return nil, err
	}
	size := int64(proto.Size(r)) // the request is held meanwhile
	if !s.unread.TryAcquire(size) {
		leave()
		return nil, &admission.Overloaded{Lane: "watchers", RetryAfter: watchAgain}
	}
	e := &expectation{hub: s.hub, alarms: s.alarms, news: newLatest(), id: id, wait: wait}
	e.leave = func() {
		s.unread.Release(size)
		leave()
	}
	s.hub.expect(id, e.news)
	return e, nil
}

func (e *expectation) end() {
	if e != nil {
		e.hub.forget(e.id, e.news)
		e.leave()
	}
}

// await returns the order as it is when it is settled, or when there is no time left: by then it is committed, and
// nothing that happens is an error.
func (e *expectation) await(ctx context.Context, o order.Order) order.Order {
	if e == nil || o.Status.Settled() {
		return o
	}
	if o.ID != e.id { // the same request made it before
		e.hub.forget(e.id, e.news)
		e.id = o.ID
		e.hub.watch(e.id, e.news, false)
	}
	until := time.Now().Add(e.wait)
	if deadline, ok := ctx.Deadline(); ok {
		until = earlier(until, deadline.Add(-answerAhead))
	}
	over := e.alarms.at(until)
	for !o.Status.Settled() {
		select {
		case n := <-e.news:
			if n.err == nil && o.Status.Before(n.order.Status) {
				o = progressed(o, n.order)
			}
		case <-over:
			return o
		case <-e.hub.stopping:
			return o
		case <-ctx.Done():
			return o
		}
	}
	return o
}

// progressed is an order with what has changed about it since: its other fields never do.
func progressed(o, to order.Order) order.Order {
	o.Status, o.CancelReason, o.UpdatedAt, o.CompletedAt = to.Status, to.CancelReason, to.UpdatedAt, to.CompletedAt
	return o
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// alarms tell many when their time has come, with one timer for all whose time comes in the same moment: who waits sets
// none of his own.
type alarms struct {
	mu  sync.Mutex
	set map[int64]chan struct{} // by the moment
}

// moment is how exact they are.
const moment = 10 * time.Millisecond

func newAlarms() *alarms { return &alarms{set: map[int64]chan struct{}{}} }

// at returns a channel that is closed at a time, or a moment earlier.
func (a *alarms) at(t time.Time) <-chan struct{} {
	at := t.UnixNano() / int64(moment)
	a.mu.Lock()
	defer a.mu.Unlock()
	alarm := a.set[at]
	if alarm == nil {
		alarm = make(chan struct{})
		a.set[at] = alarm
		time.AfterFunc(time.Until(time.Unix(0, at*int64(moment))), func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			delete(a.set, at)
			close(alarm)
		})
	}
	return alarm
}
