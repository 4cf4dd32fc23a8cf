package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"hosho/internal/admission"
)

// interceptor wraps every call: admission, panics, errors, and the one line in the log.
type interceptor struct {
	log      *slog.Logger
	refusals *Sampler
	metrics  metrics
	toStatus func(error) error
	admit    func() error
	lane     func(method string) *admission.Lane
	replies  *replies

	authorize func(ctx context.Context, method string) (context.Context, error)
}

func (i interceptor) unary(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	call := callOf(ctx)
	call.came()
	defer call.handled()()
	if builtin(info.FullMethod) {
		return handle(ctx, req)
	}
	start := call.arrived
	var reply any
	err := i.guard(ctx, info.FullMethod, func(ctx context.Context) (err error) {
		if err := i.replies.check(ctx); err != nil {
			return err
		}
		leave, err := call.enter(ctx, i.lane(info.FullMethod))
		if err != nil {
			return err
		}
		call.leave = leave
		defer call.left()
		if err := i.replies.check(ctx); err != nil { // others were at work on theirs meanwhile
			return err
		}
		reply, err = handle(ctx, req)
		return err
	})
	answer := i.answer(ctx, err)
	i.record(ctx, info.FullMethod, start, err, answer, func() []slog.Attr { return storyID(req, reply) })
	if answer != nil {
		return nil, answer
	}
	return i.replies.weigh(ctx, reply), nil
}

func (i interceptor) stream(
	srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
) error {
	call := callOf(stream.Context())
	watched := &watchedStream{ServerStream: stream, ctx: stream.Context(), call: call}
	if builtin(info.FullMethod) {
		return handle(srv, watched)
	}
	err := i.guard(stream.Context(), info.FullMethod, func(ctx context.Context) error {
		watched.ctx = ctx
		return handle(srv, watched)
	})
	answer := i.answer(stream.Context(), err)
	i.record(stream.Context(), info.FullMethod, call.arrived, err, answer, watched.told)
	return answer
}

// guard keeps the call out whose caller may not make it, or while the server is not ready, and turns a panic into an
// error.
func (i interceptor) guard(ctx context.Context, method string, handle func(context.Context) error) (err error) {
	if i.authorize != nil {
		if ctx, err = i.authorize(ctx, method); err != nil {
			return ToStatus(err)
		}
	}
	if i.admit() != nil {
		return ToStatus(errNotReady)
	}
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	return handle(ctx)
}

// panicError is a handler's panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// answer turns a handler's error into the status that the client gets. A client that has gone, or whose deadline has
// passed, is told so; a deadline of our own means that the database was too slow.
func (i interceptor) answer(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	// Only one that is a status itself: what wraps a peer's is not for clients. gRPC's own has no reason, as that of a
	// stream whose client has gone.
	_, isStatus := err.(interface{ GRPCStatus() *status.Status })
	switch gone := callerGone(ctx); {
	case isStatus && (gone == nil || Reason(err) != ""):
		return err
	case gone != nil:
		return ofCaller(gone)
	}
	return i.toStatus(err)
}

// refuse makes the answer to a call that gets no further than the door.
func (i interceptor) refuse(method string, arrived time.Time, err error) error {
	answer := i.toStatus(err)
	i.record(context.Background(), method, arrived, err, answer, func() []slog.Attr { return nil })
	return answer
}

// builtin reports whether a method is grpc's own: health checks and reflection are neither gated nor logged.
func builtin(method string) bool { return strings.HasPrefix(method, "/grpc.") }

// watchedStream remembers the id in the first message of a stream, for the log, and not the message: it may be large.
// A handler may return while another goroutine of it is still receiving.
type watchedStream struct {
	grpc.ServerStream
	ctx   context.Context // with who calls
	call  *call
	story atomic.Pointer[[]slog.Attr]
}

func (s *watchedStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil && s.story.Load() == nil {
		s.call.came()
		story := storyID(m)
		s.story.Store(&story)
	}
	return err
}

func (s *watchedStream) Context() context.Context { return s.ctx }

func (s *watchedStream) told() []slog.Attr {
	if story := s.story.Load(); story != nil {
		return *story
	}
	return nil
}
