package bench

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rpc"
)

// orders answers with the customer's name, when create lets it.
type orders struct {
	orderv1.UnimplementedOrderServiceServer

	create func(ctx context.Context, customer string) error
}

func (o *orders) CreateOrder(
	ctx context.Context, r *orderv1.CreateOrderRequest,
) (*orderv1.CreateOrderResponse, error) {
	if err := o.create(ctx, r.GetCustomerId()); err != nil {
		return nil, err
	}
	return &orderv1.CreateOrderResponse{Order: &orderv1.Order{CustomerId: r.GetCustomerId()}}, nil
}

// serve serves orders at an address, and returns which that is.
func serve(t *testing.T, o *orders, address string, options ...grpc.ServerOption) (*grpc.Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	orderv1.RegisterOrderServiceServer(server, o)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return server, listener.Addr().String()
}

func leanTo(t *testing.T, address string) orderv1.OrderServiceClient {
	t.Helper()
	conn, err := newLean(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return orderv1.NewOrderServiceClient(conn)
}

func create(ctx context.Context, client orderv1.OrderServiceClient, customer string) error {
	reply, err := client.CreateOrder(ctx, &orderv1.CreateOrderRequest{CustomerId: customer})
	if err == nil && reply.GetOrder().GetCustomerId() != customer {
		return fmt.Errorf("got the answer of %q, want that of %q", reply.GetOrder().GetCustomerId(), customer)
	}
	return err
}

// A server takes three calls at a time. A hundred clients make some each, with messages of all sizes, so that windows
// run out: each gets its own answers.
func TestEachCallGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	o := &orders{create: func(ctx context.Context, _ string) error {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > callTimeout {
			t.Errorf("got a deadline in %v, want %v at most", time.Until(deadline), callTimeout)
		}
		return nil
	}}
	_, address := serve(t, o, "127.0.0.1:0", grpc.MaxConcurrentStreams(3))
	client := leanTo(t, address)
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			for i := range 5 {
				if err := create(t.Context(), client, strings.Repeat(fmt.Sprint(n, " "), i*1000+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// A refusal is heard with its details, and one without as well.
func TestARefusalIsHeard(t *testing.T) {
	t.Parallel()
	refusal := rpc.Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_STOPPING, "später")
	o := &orders{create: func(_ context.Context, customer string) error {
		if customer == "plain" {
			return status.Error(codes.Aborted, "again")
		}
		return refusal
	}}
	_, address := serve(t, o, "127.0.0.1:0")
	client := leanTo(t, address)
	for customer, want := range map[string]error{"plain": status.Error(codes.Aborted, "again"), "whole": refusal} {
		err := create(t.Context(), client, customer)
		if status.Code(err) != status.Code(want) || rpc.Reason(err) != rpc.Reason(want) ||
			status.Convert(err).Message() != status.Convert(want).Message() {
			t.Errorf("%s: got %v, want %v", customer, err, want)
		}
	}
	err := create(t.Context(), client, strings.Repeat("x", largestRequest))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message that is too large: got %v, want it refused", err)
	}
}

// A caller goes, and his call ends at the server. A server goes: it answers what it has begun, or does not, and the
// next call goes to its successor.
func TestCallersAndServersMayGo(t *testing.T) {
	t.Parallel()
	begun, ended, answer := make(chan struct{}), make(chan error, 1), make(chan struct{})
	o := &orders{create: func(ctx context.Context, customer string) error {
		switch customer {
		case "goes":
			begun <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
		case "stays":
			begun <- struct{}{}
			select {
			case <-answer:
			case <-ctx.Done():
			}
		}
		return nil
	}}
	server, address := serve(t, o, "127.0.0.1:0")
	client := leanTo(t, address)
	ctx, goes := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- create(ctx, client, "goes") }()
	<-begun
	goes()
	if err := <-result; status.Code(err) != codes.Canceled || <-ended == nil {
		t.Errorf("who has gone: got %v, want CANCELLED", err)
	}

	go func() { result <- create(t.Context(), client, "stays") }()
	<-begun
	stopped := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(stopped)
	}()
	for create(t.Context(), client, "late") == nil { // until the server says that it goes
	}
	answer <- struct{}{}
	if err := <-result; err != nil {
		t.Errorf("what it had begun: got %v, want its answer", err)
	}
	<-stopped

	server, _ = serve(t, o, address)
	if err := create(t.Context(), client, "next"); err != nil {
		t.Errorf("of its successor: got %v", err)
	}
	go func() { result <- create(t.Context(), client, "stays") }()
	<-begun
	server.Stop()
	if err := <-result; !transient(err) {
		t.Errorf("of a server that was killed: got %v, want it to be tried again", err)
	}
}
