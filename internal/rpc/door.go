package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"

	"hosho/internal/admission"
)

// door is where calls come in: when their headers are there, before a message is read, and before they have a
// goroutine. What is refused here costs next to nothing.
type door struct {
	lane    func(method string) *admission.Lane
	timeout time.Duration // of a unary call
	refuse  func(method string, arrived time.Time, err error) error

	methods map[string]grpc.MethodInfo // by full name, those that are served
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
	method, known := d.methods[info.FullMethodName]
	if !known || builtin(info.FullMethodName) {
		return ctx, nil // which gRPC answers by itself
	}
	arrived := time.Now()
	if err := d.lane(info.FullMethodName).Full(); err != nil && d.endsSoon(ctx, arrived) {
		return ctx, d.refuse(info.FullMethodName, arrived, err)
	}
	if !method.IsClientStream && !method.IsServerStream {
		ctx = bounded(ctx, d.timeout)
	}
	return context.WithValue(ctx, arrival{}, arrived), nil
}

// endsSoon reports whether gRPC forgets a call that is refused here: it keeps its context, some hundred bytes, until
// the deadline that the caller chose. Another is refused when it has a goroutine.
func (d *door) endsSoon(ctx context.Context, now time.Time) bool {
	deadline, ok := ctx.Deadline()
	return !ok || deadline.Sub(now) <= d.timeout
}

// bounded ends a call in time, with its message and its reply: who sends or reads a byte a second does not keep it
// open. gRPC cancels ctx when the call is over, and what is made of it here.
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

// arrival is the key under which a call's context knows when it came.
type arrival struct{}

// arrived returns when a call came.
func arrived(ctx context.Context) time.Time {
	if at, ok := ctx.Value(arrival{}).(time.Time); ok {
		return at
	}
	return time.Now()
}
