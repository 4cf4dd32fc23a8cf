package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/admission"
)

func TestAPanicIsAnsweredAndTheServerLives(t *testing.T) {
	t.Parallel()
	panics := func(context.Context) error { panic("out of tea") }
	for name, call := range map[string]func(*testing.T, *system) error{
		"a call": func(t *testing.T, s *system) error { return s.get(t.Context()) },
		"a stream": func(t *testing.T, s *system) error {
			stream, err := s.open(t, t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &orders{get: panics, watch: panics})
			wantStatus(t, call(t, s), codes.Internal, "INTERNAL", "internal")
			line := s.log.call(t)
			wantIn(t, line["error"], "panic: out of tea", "[running]:", "(*orders)")
			if line["level"] != "ERROR" {
				t.Errorf("got level %v, want ERROR", line["level"])
			}
			if _, err := s.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{}); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

func TestTheCauseOfAnErrorIsInTheLogAlone(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("read the order: %w", errSecret)
	s := start(t, &orders{get: func(context.Context) error { return wrapped }})
	wantStatus(t, s.get(t.Context()), codes.Internal, "INTERNAL", "internal")
	if line := s.log.call(t); line["error"] != wrapped.Error() || line["code"] != "INTERNAL" ||
		line["level"] != "ERROR" {
		t.Errorf("got %v, want an ERROR, INTERNAL, with the cause", line)
	}
}

// A server with no errors of its own need not say so.
func TestAServerThatNamesNoErrorsAnswersThoseOfAll(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{get: func(context.Context) error { return ErrStopping }},
		func(c *ServerConfig) { c.ToStatus = nil })
	wantStatus(t, s.get(t.Context()), codes.Unavailable, "STOPPING", "the server is stopping: try again")
}

func TestAStatusIsAnsweredAsItIs(t *testing.T) {
	t.Parallel()
	for code, level := range map[codes.Code]string{
		codes.NotFound: "INFO", codes.Unavailable: "WARN", codes.Aborted: "WARN", codes.ResourceExhausted: "WARN",
		codes.DataLoss: "ERROR",
	} {
		s := start(t, &orders{get: func(context.Context) error {
			return Status(code, errorv1.ErrorReason_ERROR_REASON_COLLISION, "no tea")
		}})
		wantStatus(t, s.get(t.Context()), code, "COLLISION", "no tea")
		if line := s.log.call(t); line["level"] != level {
			t.Errorf("%s: got level %v, want %s", code, line["level"], level)
		}
	}
}

func TestEachCallHasOneLineWithTheOrdersID(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{})
	if _, err := s.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{CustomerId: "alice"}); err != nil {
		t.Fatal(err)
	}
	if err := s.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := s.open(t, t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	// What is no id may be anything, and stays out of the log.
	if _, err := s.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: "hunter2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ListOrders(t.Context(), &orderv1.ListOrdersRequest{}); status.Code(err) != codes.Unimplemented {
		t.Fatal(err)
	}

	lines, _ := s.log.of("rpc")
	var got []string
	for _, line := range lines {
		got = append(got, fmt.Sprintf("%v %v %v %v", line["level"], line["method"], line["code"], line["order_id"]))
		if _, ok := line["took"].(float64); !ok {
			t.Errorf("got %v, want how long it took", line)
		}
	}
	want := []string{
		"DEBUG order.v1.OrderService/CreateOrder OK " + orderID,
		"DEBUG order.v1.OrderService/GetOrder OK " + orderID,
		"DEBUG order.v1.OrderService/WatchOrder OK " + orderID,
		"DEBUG order.v1.OrderService/GetOrder OK <nil>",
		"INFO order.v1.OrderService/ListOrders UNIMPLEMENTED <nil>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// interceptorOf makes an interceptor that lets everybody in.
func interceptorOf(log *logLines) interceptor {
	return interceptor{
		log: log.logger(), refusals: NewSampler(log.logger()), metrics: newMetrics(nil), toStatus: ToStatus,
		admit: func() error { return nil }, lane: func(string) *admission.Lane { return nil },
		replies: newReplies(usual),
	}
}

// getOrder is the method that the handlers below stand for.
var getOrder = &grpc.UnaryServerInfo{FullMethod: "/order.v1.OrderService/GetOrder"}

// A handler waits for a database that does not answer. Who gives up first, the client or the server?
func TestADeadlineIsReportedAsTheClientsOnlyIfItIs(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	tests := []struct {
		name          string
		gives, cancel time.Duration // 0: never
		took          time.Duration
		code          codes.Code
		line, reason  string
	}{
		{"no deadline", 0, 0, timeout, codes.Unavailable, "UNAVAILABLE", "DATABASE_UNAVAILABLE"},
		{"a late one", time.Hour, 0, timeout, codes.Unavailable, "UNAVAILABLE", "DATABASE_UNAVAILABLE"},
		{
			"an early one", time.Second, 0, time.Second, codes.DeadlineExceeded,
			"DEADLINE_EXCEEDED", "DEADLINE_PASSED",
		},
		{"a client that goes", 0, time.Second, time.Second, codes.Canceled, "CANCELLED", "CALL_CANCELLED"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.gives > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.gives)
					defer cancel()
				}
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, cancel)
				}
				log := newLogLines()
				i := interceptorOf(log)
				ctx, over := within(ctx, timeout)
				defer over()
				began := time.Now()
				reply, err := i.unary(ctx, &orderv1.GetOrderRequest{}, getOrder,
					func(ctx context.Context, _ any) (any, error) {
						<-ctx.Done()
						return &orderv1.GetOrderResponse{}, fmt.Errorf("read the order: %w", ctx.Err())
					})
				if took := time.Since(began); reply != nil || status.Code(err) != test.code || took != test.took {
					t.Errorf("got %v, %v after %v, want %s alone after %v", reply, err, took, test.code, test.took)
				}
				if Reason(err) != test.reason {
					t.Errorf("got reason %q, want %s", Reason(err), test.reason)
				}
				if line := log.call(t); line["code"] != test.line {
					t.Errorf("got %v, want %s", line, test.line)
				}
			})
		})
	}
}

// A stream's handler is told of its client by gRPC, in an error that is a status and has no reason.
func TestWhatGRPCTellsAHandlerOfItsClientIsGivenAReason(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	i := interceptorOf(newLogLines())
	for want, ctx := range map[string]context.Context{"CALL_CANCELLED": gone, "DEADLINE_PASSED": late} {
		told := status.FromContextError(ctx.Err()).Err()
		if got := i.answer(ctx, told); Reason(got) != want || status.Code(got) != status.Code(told) {
			t.Errorf("%v: got %v with reason %q, want %s", told, got, Reason(got), want)
		}
		own := Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_STOPPING, "stopping")
		if got := i.answer(ctx, own); Reason(got) != "STOPPING" {
			t.Errorf("got %v, want what the handler said itself", got)
		}
	}
}

// The same with a client at the other end of a wire.
func TestAClientThatGoesEndsItsCall(t *testing.T) {
	t.Parallel()
	waits := make(chan struct{})
	s := start(t, &orders{get: func(ctx context.Context) error {
		close(waits)
		<-ctx.Done()
		return ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-waits
		cancel()
	}()
	if err := s.get(ctx); status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want CANCELLED", err)
	}
	if line := s.log.await(t, "rpc"); line["code"] != "CANCELLED" || line["level"] != "DEBUG" {
		t.Errorf("got %v, want CANCELLED, which is nobody's fault", line)
	}
}

// The client gives up, and the handler panics over it. Nobody is told INTERNAL, but whoever reads the log must see it.
func TestAPanicAfterTheClientHasGoneIsStillLoud(t *testing.T) {
	t.Parallel()
	lines := newLogLines()
	calls := interceptorOf(lines)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := calls.unary(gone, &orderv1.GetOrderRequest{}, getOrder,
		func(context.Context, any) (any, error) { panic("out of tea") })
	if got := status.Code(err); got != codes.Canceled {
		t.Errorf("got %v, want Canceled", got)
	}
	line := lines.await(t, "rpc")
	if line["level"] != "ERROR" || line["code"] != "CANCELLED" {
		t.Errorf("got the line %v, want CANCELLED as an ERROR", line)
	}
}
