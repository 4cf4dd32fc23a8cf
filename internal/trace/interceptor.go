package trace

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	oteltrace "go.opentelemetry.io/otel/trace"
	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// Options are those of a server whose calls are traced: each that is sampled has a span while its handler is at work.
// toStatus makes the status that an error is answered with. There are none where nothing is traced.
func (t *Tracer) Options(toStatus func(error) error) []grpc.ServerOption {
	if t == nil {
		return nil
	}
	c := calls{t, toStatus}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(c.unary), grpc.ChainStreamInterceptor(c.stream)}
}

type calls struct {
	*Tracer

	toStatus func(error) error
}

func (c calls) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (reply any, err error) {
	err = c.traced(ctx, info.FullMethod, func(ctx context.Context) error {
		reply, err = handle(ctx, request)
		return err
	})
	return reply, err
}

func (c calls) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return c.traced(stream.Context(), info.FullMethod, func(ctx context.Context) error {
		if ctx == stream.Context() {
			return handle(srv, stream)
		}
		return handle(srv, tracedStream{stream, ctx})
	})
}

// tracedStream is one whose context has its span.
type tracedStream struct {
	grpc.ServerStream

	ctx context.Context
}

func (s tracedStream) Context() context.Context { return s.ctx }

// traced has a call handled, in a span if it is sampled. gRPC's own methods, asked again and again, have none.
func (c calls) traced(ctx context.Context, method string, handle func(context.Context) error) error {
	if strings.HasPrefix(method, "/grpc.") {
		return handle(ctx)
	}
	name := strings.TrimPrefix(method, "/")
	span := c.Begin(Sent(ctx), name, oteltrace.SpanKindServer)
	if span == nil {
		return handle(ctx)
	}
	defer span.End() // in a panic, too
	err := handle(oteltrace.ContextWithSpan(ctx, span))
	span.SetAttributes(semconv.RPCSystemNameGRPC, semconv.RPCMethod(name))
	c.answered(ctx, span, err)
	return err
}

// answered notes what a call is answered.
func (c calls) answered(ctx context.Context, span oteltrace.Span, err error) {
	if _, isStatus := err.(interface{ GRPCStatus() *status.Status }); err != nil && !isStatus {
		if gone := ctx.Err(); gone != nil {
			err = status.FromContextError(gone).Err()
		} else {
			err = c.toStatus(err)
		}
	}
	Answered(span, err)
}

// Answered notes in a span the status that its caller is answered, OK for nil. As the conventions have it, what the
// caller is to blame for is no error of the server's.
func Answered(span oteltrace.Span, answer error) {
	s := status.Convert(answer)
	code := rpccode.Code(s.Code())
	span.SetAttributes(semconv.RPCResponseStatusCode(code.String()))
	switch code {
	case rpccode.Code_UNKNOWN, rpccode.Code_DEADLINE_EXCEEDED, rpccode.Code_UNIMPLEMENTED, rpccode.Code_INTERNAL,
		rpccode.Code_UNAVAILABLE, rpccode.Code_DATA_LOSS:
		span.SetStatus(codes.Error, s.Message())
	}
}
