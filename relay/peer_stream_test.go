package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/rpc"
)

// ProcessPayments answers what the bank decides at once, message by message, and what scripts say as they say it.
func (p *peer) ProcessPayments(
	stream grpc.BidiStreamingServer[paymentv1.ProcessPaymentsRequest, paymentv1.ProcessPaymentsResponse],
) error {
	if err := p.introduce(stream); err != nil {
		return err
	}
	p.mu.Lock()
	deaf := p.deaf
	p.deaf = nil
	p.opened++
	p.mu.Unlock()
	if deaf != nil {
		<-stream.Context().Done()
		close(deaf)
		return nil
	}
	ctx, end := context.WithCancelCause(stream.Context())
	w := &replies{peer: p, stream: stream}
	go func() {
		var running sync.WaitGroup
		for {
			request, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				running.Wait() // what it has is finished
			}
			if err != nil {
				end(err)
				return
			}
			var plain []*paymentv1.PaymentCommand
			for _, c := range request.GetCommands() {
				do := p.arrive(c, false, len(request.GetCommands()))
				if p.isWedged(c) {
					w.close()
				}
				if do == nil {
					plain = append(plain, c)
					continue
				}
				running.Go(func() {
					if result := p.result(ctx, do, c, end); result != nil {
						w.write(result)
					}
				})
			}
			var results []*paymentv1.PaymentResult
			for _, c := range plain {
				if result := p.result(ctx, nil, c, end); result != nil {
					results = append(results, result)
				}
			}
			w.write(results...)
		}
	}()
	<-ctx.Done()
	w.close()
	switch err := context.Cause(ctx); {
	case errors.Is(err, errStops):
		return failure(codes.Unavailable, "STOPPING", 0)
	case !errors.Is(err, io.EOF):
		return status.Error(codes.Unavailable, err.Error())
	}
	return nil
}

func (p *peer) result(
	ctx context.Context, do step, c *paymentv1.PaymentCommand, end context.CancelCauseFunc,
) *paymentv1.PaymentResult {
	k := keyOfCommand(c)
	result := &paymentv1.PaymentResult{PaymentId: k.id, Kind: k.kind}
	got, err := p.perform(ctx, do, c)
	switch {
	case err == nil:
		result.Outcome = &paymentv1.PaymentResult_Payment{Payment: got}
	case errors.Is(err, errBroken), errors.Is(err, errStops):
		end(err)
		return nil
	case errors.Is(err, errNoAnswer):
		return nil
	default:
		refused := &paymentv1.PaymentError{Code: int32(status.Code(err)), Reason: rpc.Reason(err), Message: err.Error()}
		if wait := rpc.RetryDelay(err); wait != 0 {
			refused.RetryDelay = durationpb.New(wait)
		}
		result.Outcome = &paymentv1.PaymentResult_Error{Error: refused}
	}
	return result
}

// replies is the sending half of a stream: one sender at a time, and none when it has ended.
type replies struct {
	peer   *peer
	stream grpc.BidiStreamingServer[paymentv1.ProcessPaymentsRequest, paymentv1.ProcessPaymentsResponse]
	mu     sync.Mutex
	closed bool
}

func (r *replies) write(results ...*paymentv1.PaymentResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(results) == 0 {
		return
	}
	if send := r.peer.send; send != nil {
		_ = send(r.stream.Send, results) // a peer that is gone needs no answer
		return
	}
	_ = r.stream.Send(&paymentv1.ProcessPaymentsResponse{Results: results})
}

func (r *replies) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
