package door

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
)

// said is what a request said beside its body.
type said struct {
	key  *string
	wait *durationpb.Duration
}

type saidKey struct{}

// asks is a connection over which an order is asked for with what was said beside its body. Who waits until it is
// settled needs a seat.
type asks struct {
	grpc.ClientConnInterface

	followers seats
}

// Invoke is called by gRPC.
func (a asks) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	if create, ok := request.(*orderv1.CreateOrderRequest); ok {
		s, _ := ctx.Value(saidKey{}).(said)
		if err := s.into(create); err != nil {
			return err
		}
		if create.GetWait().AsDuration() > 0 {
			leave, err := a.followers.take()
			if err != nil {
				return err
			}
			defer leave()
		}
	}
	return a.ClientConnInterface.Invoke(ctx, method, request, reply, options...)
}

// NewStream is called by gRPC.
func (a asks) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := a.ClientConnInterface.NewStream(ctx, desc, method, options...)
	return &watched{ClientStream: stream}, err
}

// watched is a watch of which the gateway hears nothing until its first message has come: an error that comes instead
// is answered as that of any other call, with its code. Later there is no code any more, and it is a line.
type watched struct {
	grpc.ClientStream

	first *orderv1.WatchOrderResponse // until somebody has received it
}

// Header is called by the gateway, before anything is received.
func (w *watched) Header() (metadata.MD, error) {
	first := &orderv1.WatchOrderResponse{}
	switch err := w.ClientStream.RecvMsg(first); {
	case errors.Is(err, io.EOF): // who receives hears so as well
		return w.ClientStream.Header()
	case err != nil:
		return nil, err
	}
	w.first = first
	return w.ClientStream.Header()
}

// RecvMsg is called by gRPC.
func (w *watched) RecvMsg(m any) error {
	if w.first == nil {
		return w.ClientStream.RecvMsg(m)
	}
	proto.Merge(m.(proto.Message), w.first)
	w.first = nil
	return nil
}

// into adds what was said to a request, which may say the same.
func (s said) into(r *orderv1.CreateOrderRequest) error {
	if s.key != nil {
		if r.RequestId != nil && r.GetRequestId() != *s.key {
			return malformed("got %s %s and request_id %s, want one of them, or the same", idempotencyKey,
				quoted(*s.key), quoted(r.GetRequestId()))
		}
		r.RequestId = s.key
	}
	if s.wait != nil {
		if r.Wait != nil && !proto.Equal(r.GetWait(), s.wait) {
			return malformed("got wait=%s in the query and %s in the body, want one of them, or the same",
				s.wait.AsDuration(), r.GetWait().AsDuration())
		}
		r.Wait = s.wait
	}
	return nil
}
