package main

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// step is what the peer does with one arrival of a command. decide has it carried out.
type step func(ctx context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error)

// fails returns an error as paymentd does on the stream; reason may be empty, wait 0.
func fails(code codes.Code, reason string, wait time.Duration) step {
	return func(context.Context, func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		return nil, failure(code, reason, wait)
	}
}

func failure(code codes.Code, reason string, wait time.Duration) error {
	var details []protoadapt.MessageV1
	if reason != "" {
		details = append(details, &errdetails.ErrorInfo{Reason: reason, Domain: rpc.Domain})
	}
	if wait != 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	st, err := status.New(code, "as the script says").WithDetails(details...)
	if err != nil {
		return err
	}
	return st.Err()
}

// loses carries the command out, and returns an error all the same.
func loses(code codes.Code) step {
	return func(_ context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		if _, err := decide(); err != nil {
			return nil, err
		}
		return nil, failure(code, "", 0)
	}
}

// breaks ends the stream with everything that is in flight on it.
func breaks(context.Context, func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
	return nil, errBroken
}

// stops ends the stream as a paymentd does that stops.
func stops(context.Context, func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
	return nil, errStops
}

// hangs never answers, and carries nothing out.
func hangs(ctx context.Context, _ func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
	<-ctx.Done()
	return nil, errNoAnswer
}

// holds carries the command out, and answers when told.
func holds(told <-chan struct{}) step {
	return func(ctx context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		p, err := decide()
		select {
		case <-told:
			return p, err
		case <-ctx.Done():
			return nil, errNoAnswer
		}
	}
}

// waits carries the command out, and answers after a while.
func waits(d time.Duration) step {
	return func(ctx context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		p, err := decide()
		if !wait.For(ctx, d) {
			return nil, errNoAnswer
		}
		return p, err
	}
}

// twists carries the command out, and returns something else.
func twists(twist func(*paymentv1.Payment)) step {
	return func(_ context.Context, decide func() (*paymentv1.Payment, error)) (*paymentv1.Payment, error) {
		p, err := decide()
		if err == nil {
			twist(p)
		}
		return p, err
	}
}
