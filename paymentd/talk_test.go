package main

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	paymentv1 "hosho/gen/payment/v1"
)

// talk is the client's side of a stream.
type talk struct {
	grpc.BidiStreamingClient[paymentv1.ProcessPaymentsRequest, paymentv1.ProcessPaymentsResponse]

	t *testing.T
}

func (s *system) open(t *testing.T, ctx context.Context) *talk {
	t.Helper()
	stream, err := s.ProcessPayments(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &talk{stream, t}
}

// send sends one request.
func (k *talk) send(commands ...proto.Message) {
	k.t.Helper()
	if err := k.Send(requestOf(commands...)); err != nil {
		k.t.Error(err) // not Fatal: some tests send from a goroutine of their own
	}
}

// requestOf makes a request. Its commands are ChargePaymentRequests, VoidPaymentRequests, or nil for an empty one.
func requestOf(commands ...proto.Message) *paymentv1.ProcessPaymentsRequest {
	request := &paymentv1.ProcessPaymentsRequest{}
	for _, c := range commands {
		command := &paymentv1.PaymentCommand{}
		switch c := c.(type) {
		case *paymentv1.ChargePaymentRequest:
			command.Command = &paymentv1.PaymentCommand_Charge{Charge: c}
		case *paymentv1.VoidPaymentRequest:
			command.Command = &paymentv1.PaymentCommand_Void{Void: c}
		}
		request.Commands = append(request.Commands, command)
	}
	return request
}

// receive receives n results, in the order in which they come.
func (k *talk) receive(n int) (results []*paymentv1.PaymentResult) {
	k.t.Helper()
	for len(results) < n {
		response, err := k.Recv()
		if err != nil {
			k.t.Fatalf("got %d results, then %v, want %d", len(results), err, n)
		}
		results = append(results, response.GetResults()...)
	}
	if len(results) != n {
		k.t.Fatalf("got %d results, want %d", len(results), n)
	}
	return results
}

// end receives the end of the stream.
func (k *talk) end() error {
	k.t.Helper()
	response, err := k.Recv()
	if err == nil {
		k.t.Fatalf("got %v, want the end of the stream", response)
	}
	return err
}

// find returns the result of a command.
func find(
	t *testing.T, results []*paymentv1.PaymentResult, kind paymentv1.PaymentResult_Kind, paymentID string,
) *paymentv1.PaymentResult {
	t.Helper()
	i := slices.IndexFunc(results, func(r *paymentv1.PaymentResult) bool {
		return r.GetKind() == kind && r.GetPaymentId() == paymentID
	})
	if i < 0 {
		t.Fatalf("got no result of %s %q", kind, paymentID)
	}
	return results[i]
}

func wantResultError(t *testing.T, r *paymentv1.PaymentResult, code codes.Code, reason string) {
	t.Helper()
	if e := r.GetError(); codes.Code(e.GetCode()) != code || e.GetReason() != reason || e.GetMessage() == "" {
		t.Errorf("%s %q: got %v, want %s, reason %s", r.GetKind(), r.GetPaymentId(), r.GetOutcome(), code, reason)
	}
}

// charges makes n plain charges.
func charges(n int) (cs []*paymentv1.ChargePaymentRequest, commands []proto.Message) {
	for range n {
		c := newCharge(500)
		cs = append(cs, c)
		commands = append(commands, c)
	}
	return cs, commands
}
