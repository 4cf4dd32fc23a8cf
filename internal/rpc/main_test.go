package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
)

func TestMain(m *testing.M) {
	resolver.Register(insistent) // before all tests: gRPC's registry is not locked
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("hosho/internal/crew.(*crew).work"))
}

// longWait bounds every wait. It is long, so that only a test that would fail runs into it.
const longWait = 30 * time.Second

const orderID = "0190b6a4-7c5e-7d3a-8f00-0123456789ab"

// orders is a service that does what a test says.
type orders struct {
	orderv1.UnimplementedOrderServiceServer

	size  int // bytes of what GetOrder answers
	get   func(context.Context) error
	watch func(context.Context) error
}

func (o *orders) CreateOrder(context.Context, *orderv1.CreateOrderRequest) (*orderv1.CreateOrderResponse, error) {
	return &orderv1.CreateOrderResponse{Order: &orderv1.Order{OrderId: orderID}}, nil
}

func (o *orders) GetOrder(ctx context.Context, _ *orderv1.GetOrderRequest) (*orderv1.GetOrderResponse, error) {
	reply := &orderv1.GetOrderResponse{}
	if o.size > 0 {
		reply.Order = &orderv1.Order{CustomerId: strings.Repeat("x", o.size)}
	}
	if o.get == nil {
		return reply, nil
	}
	return reply, o.get(ctx)
}

func (o *orders) WatchOrder(
	_ *orderv1.WatchOrderRequest, stream grpc.ServerStreamingServer[orderv1.WatchOrderResponse],
) error {
	if err := stream.Send(&orderv1.WatchOrderResponse{}); err != nil || o.watch == nil {
		return err
	}
	return o.watch(stream.Context())
}

// system is orders, served on loopback, and a client.
type system struct {
	orderv1.OrderServiceClient

	conn    *grpc.ClientConn
	address string
	log     *logLines
	stop    context.CancelFunc
	done    chan struct{} // closed when Serve has returned
}

func config(o *orders, log *logLines) ServerConfig {
	return ServerConfig{
		Listen: "127.0.0.1:0", MaxReceive: 64 << 10, CallTimeout: longWait, Log: log.logger(),
		Register: func(s *grpc.Server) { orderv1.RegisterOrderServiceServer(s, o) },
		Ready:    func(context.Context) error { return nil }, ToStatus: ToStatus,
	}
}

// serve serves orders. The options change the configuration before.
func serve(t *testing.T, o *orders, options ...func(*ServerConfig)) *system {
	t.Helper()
	log := newLogLines()
	c := config(o, log)
	for _, option := range options {
		option(&c)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := Serve(ctx, c); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	address := log.await(t, "serving")["address"].(string)
	conn, err := Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		stop()
		<-done
	})
	return &system{orderv1.NewOrderServiceClient(conn), conn, address, log, stop, done}
}

// start serves orders and waits until calls are let in.
func start(t *testing.T, o *orders, options ...func(*ServerConfig)) *system {
	t.Helper()
	s := serve(t, o, options...)
	s.log.await(t, "ready")
	return s
}

func (s *system) get(ctx context.Context) error {
	_, err := s.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: orderID})
	return err
}

// open opens a stream and receives its first message.
func (s *system) open(
	t *testing.T, ctx context.Context,
) (grpc.ServerStreamingClient[orderv1.WatchOrderResponse], error) {
	t.Helper()
	stream, err := s.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: orderID})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	return stream, err
}

// logLines keeps the log, line by line.
type logLines struct {
	mu      sync.Mutex
	changed chan struct{} // closed by the next line
	lines   []map[string]any
}

func newLogLines() *logLines { return &logLines{changed: make(chan struct{})} }

// logger writes all that is told, also of what went well.
func (l *logLines) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write takes one line: slog's handlers write each with one call.
func (l *logLines) Write(p []byte) (int, error) {
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// of returns the lines with a message, and a channel that is closed when there may be more.
func (l *logLines) of(message string) (found []map[string]any, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	return found, l.changed
}

// await returns the first line with a message.
func (l *logLines) await(t *testing.T, message string) map[string]any {
	t.Helper()
	for deadline := time.After(longWait); ; {
		found, changed := l.of(message)
		if len(found) > 0 {
			return found[0]
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited %s in vain for the line %q", longWait, message)
		}
	}
}

// call returns the line of the one call that was made.
func (l *logLines) call(t *testing.T) map[string]any {
	t.Helper()
	line := l.await(t, "rpc")
	if found, _ := l.of("rpc"); len(found) != 1 {
		t.Fatalf("got %v, want one line", found)
	}
	return line
}

// wantStatus fails the test unless err has the code, the message, and one ErrorInfo with the reason.
func wantStatus(t *testing.T, err error, code codes.Code, reason, message string) {
	t.Helper()
	st, ok := status.FromError(err)
	if !ok || st.Code() != code || st.Message() != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
	var infos []*errdetails.ErrorInfo
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			infos = append(infos, info)
		}
	}
	if len(infos) != 1 || infos[0].GetReason() != reason || infos[0].GetDomain() != "hosho" {
		t.Errorf("%v: got %v, want one ErrorInfo with reason %s of hosho", err, infos, reason)
	}
}

// wantIn fails the test unless text has each of the parts once.
func wantIn(t *testing.T, text any, parts ...string) {
	t.Helper()
	s, _ := text.(string)
	for _, part := range parts {
		if n := strings.Count(s, part); n != 1 {
			t.Errorf("got %q %d times in %q, want it once", part, n, s)
		}
	}
}

var errSecret = errors.New("the password is hunter2")
