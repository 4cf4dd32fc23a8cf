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
	"hosho/internal/identity"
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
	bounded, end := ctx, func() {}
	switch {
	case room == &d.reflections: // a stream which nobody needs for longer than a call
		bounded, end = within(ctx, d.timeout)
	case method.IsClientStream:
	case method.IsServerStream:
		bounded, end = c.awaited(ctx, d.timeout)
	default:
		bounded, end = within(ctx, d.timeout)
	}
	if !method.IsClientStream {
		c.arriving = d.arriving
		var err error
		if c.request, err = d.arriving.enter(party(ctx), end); err != nil {
			c.came() // it is not waited for
			end()
			return d.turnAway(ctx, name, c, err)
		}
	}
	c.enterRoom(bounded, room)
	return admission.By(context.WithValue(bounded, callKey{}, c), party(ctx)), nil
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

// party is whose a call is to its lane: the connection's, since there is no other name of a client; or the caller's for
// whom the process vouches, whose connections have one request each.
func party(ctx context.Context) any {
	if caller, vouched := identity.Vouched(ctx); vouched {
		return caller
	}
	from, _ := peer.FromContext(ctx)
	return from
}

// endsSoon reports whether gRPC forgets a call that is refused here: it keeps its context, some hundred bytes, until
// the deadline that the caller chose. Another is refused when it has a goroutine.
func (d *door) endsSoon(ctx context.Context, now time.Time) bool {
	deadline, ok := ctx.Deadline()
	return !ok || deadline.Sub(now) <= d.timeout
}

// within ends a call in time, with its message: who sends a byte a second does not keep it open. gRPC cancels ctx when
// the call is over, and what is made of it here.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, errCallTimeout)
}

// callerGone returns why the caller of a call waits no longer, nil when he does.
func callerGone(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errCallTimeout) {
		return nil
	}
	return ctx.Err()
}
