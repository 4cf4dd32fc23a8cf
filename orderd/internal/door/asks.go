package door

import (
	"context"

	"google.golang.org/grpc"
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

// into adds what was said to a request, which may say the same.
func (s said) into(r *orderv1.CreateOrderRequest) error {
	if s.key != nil {
		if r.RequestId != nil && r.GetRequestId() != *s.key {
			return malformed("got %s %q and request_id %q, want one of them, or the same", idempotencyKey, *s.key,
				r.GetRequestId())
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
