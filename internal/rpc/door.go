package rpc

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"hosho/internal/admission"
)

// door is where calls come in: when their headers are there, before a message is read, and before they have a
// goroutine. What is refused here costs next to nothing.
type door struct {
	lane    func(method string) *admission.Lane
	timeout time.Duration // of a unary call, and of the request of a stream that has one
	refuse  func(method string, arrived time.Time, err error) error

	calls, reflections, watches room
	replies                     *replies
	arriving                    *arriving

	methods map[string]grpc.MethodInfo // by full name, those that are served
}

// room is for so many calls at a time, or for a few more that come in the same moment.
type room struct {
	most  int64
	taken atomic.Int64
}

func (r *room) full() bool { return r.taken.Load() >= r.most }

// enter takes a place until ctx ends, as it does with the call. gRPC never ends that of a call which is refused.
func (r *room) enter(ctx context.Context) {
	r.taken.Add(1)
	context.AfterFunc(ctx, func() { r.taken.Add(-1) })
}

// errCallTimeout ends a call that took as long as the server lets it, which its caller would have let go on.
var errCallTimeout = errors.New("the call's time is over")

// serves notes which methods there are. It is called before the first call comes.
func (d *door) serves(services map[string]grpc.ServiceInfo) {
	d.methods = map[string]grpc.MethodInfo{}
	for name, service := range services {
		for _, method := range service.Methods {
			d.methods["/"+name+"/"+method.Name] = method
		}
	}
}

// enter is gRPC's tap: it must not block, and an error is the call's status.
func (d *door) enter(ctx context.Context, info *tap.Info) (context.Context, error) {
	name := info.FullMethodName
	method, known := d.methods[name]
	if !known {
		return ctx, nil // gRPC says so, at once
	}
	c := &call{arrived: time.Now()}
	if !builtin(name) && d.endsSoon(ctx, c.arrived) {
		err := d.replies.check(ctx)
		if err == nil {
			err = c.reserve(d.lane(name), party(ctx))
		}
		if err != nil {
			return ctx, d.refuse(name, c.arrived, err)
		}
	}
	room := d.roomOf(name)
	if room.full() && name != healthpb.Health_Check_FullMethodName { // a full server is not a dead one
		return d.turnAway(ctx, name, c, &admission.Overloaded{Lane: "all calls", RetryAfter: time.Second})
	}
	if !method.IsClientStream {
		var err error
		if ctx, c.there, err = d.arriving.enter(ctx, party(ctx)); err != nil {
			return d.turnAway(ctx, name, c, err)
		}
	}
	room.enter(ctx)
	if c.reserved.Load() != nil {
		context.AfterFunc(ctx, c.unreserve) // its request may never come
	}
	switch {
	case room == &d.reflections: // a stream which nobody needs for longer than a call
		ctx = bounded(ctx, d.timeout)
	case method.IsClientStream:
	case method.IsServerStream:
		ctx = c.awaited(ctx, d.timeout)
	default:
		ctx = bounded(ctx, d.timeout)
	}
	return admission.By(context.WithValue(ctx, callKey{}, c), party(ctx)), nil
}

// turnAway refuses a call for which there is no place at all. One that gRPC would not forget for long is let in with a
// context that has ended: there it ends at once.
func (d *door) turnAway(ctx context.Context, name string, c *call, err error) (context.Context, error) {
	c.unreserve()
	answer := d.refuse(name, c.arrived, err)
	if d.endsSoon(ctx, c.arrived) {
		return ctx, answer
	}
	ended, end := context.WithCancel(ctx)
	end()
	return ended, nil
}

// roomOf returns where a call counts. What gRPC serves by itself takes no place of other calls.
func (d *door) roomOf(name string) *room {
	switch {
	case strings.HasPrefix(name, "/grpc.reflection."):
		return &d.reflections
	case name == healthpb.Health_Watch_FullMethodName:
		return &d.watches
	}
	return &d.calls
}

// party is whose a call is to its lane: the connection's, since there is no other name of a client.
func party(ctx context.Context) any {
	from, _ := peer.FromContext(ctx)
	return from
}

// endsSoon reports whether gRPC forgets a call that is refused here: it keeps its context, some hundred bytes, until
// the deadline that the caller chose. Another is refused when it has a goroutine.
func (d *door) endsSoon(ctx context.Context, now time.Time) bool {
	deadline, ok := ctx.Deadline()
	return !ok || deadline.Sub(now) <= d.timeout
}

// bounded ends a call in time, with its message: who sends a byte a second does not keep it open. gRPC cancels ctx when
// the call is over, and what is made of it here.
func bounded(ctx context.Context, timeout time.Duration) context.Context {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errCallTimeout)
	_ = cancel
	return ctx
}

// callerGone returns why the caller of a call waits no longer, nil when he does.
func callerGone(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errCallTimeout) {
		return nil
	}
	return ctx.Err()
}

// call is what the door notes of a call, in its context.
type call struct {
	arrived time.Time
	late    *time.Timer // ends a stream whose request does not come
	there   func()      // says that the request is; nil where it does not count
	// reserved gives a slot back that the call has had since its headers came; nil when it has none, or is at work.
	reserved atomic.Pointer[func()]
	leave    func() // gives back the slot of a unary call; nil when it has none any more
}

// reserve takes a slot for the call where its lane gives one at the door.
func (c *call) reserve(lane *admission.Lane, party any) error {
	leave, err := lane.Reserve(party)
	if leave != nil {
		c.reserved.Store(&leave)
	}
	return err
}

// enter waits for a slot, if the call has none.
func (c *call) enter(ctx context.Context, lane *admission.Lane) (leave func(), err error) {
	if reserved := c.reserved.Swap(nil); reserved != nil {
		return *reserved, nil
	}
	return lane.Enter(ctx)
}

// unreserve gives the slot back that was reserved, unless the call is at work with it.
func (c *call) unreserve() {
	if reserved := c.reserved.Swap(nil); reserved != nil {
		(*reserved)()
	}
}

// LeaveLane gives a unary call's slot in its lane back before the call is answered: its work is done, and it waits for
// somebody else's. It is for the handler's own goroutine.
func LeaveLane(ctx context.Context) { callOf(ctx).left() }

func (c *call) left() {
	if c.leave != nil {
		c.leave()
		c.leave = nil
	}
}

type callKey struct{}

// callOf returns what the door noted.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{arrived: time.Now()} // of a test that has no door
}

// awaited ends a stream whose one request takes too long to come. The stream itself may take as long as it likes.
func (c *call) awaited(ctx context.Context, timeout time.Duration) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	c.late = time.AfterFunc(timeout, cancel)
	return ctx
}

// came notes that a stream's request is there.
func (c *call) came() {
	if c.late != nil {
		c.late.Stop()
	}
	if c.there != nil {
		c.there()
	}
}
