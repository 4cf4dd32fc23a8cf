package rpc

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	errorv1 "hosho/gen/error/v1"
	orderv1 "hosho/gen/order/v1"
)

// insistent finds the server of the one test that uses it, and tells its clients to retry.
var insistent = manual.NewBuilderWithScheme("insistent")

const insistence = `{"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 5, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1,
	"retryableStatusCodes": ["UNAVAILABLE"]
}}]}`

// Even a service configuration, which in production a DNS record could hold, does not make a client retry.
func TestAClientDoesNotRetryByItself(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := start(t, &orders{get: func(context.Context) error {
		calls.Add(1)
		return Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_COLLISION, "try again")
	}})
	insistent.BuildCallback = func(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) {
		err := cc.UpdateState(resolver.State{
			Addresses: []resolver.Address{{Addr: s.conn.Target()}}, ServiceConfig: cc.ParseServiceConfig(insistence),
		})
		if err != nil {
			t.Error(err)
		}
	}
	conn, err := Dial("insistent:///orders")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = orderv1.NewOrderServiceClient(conn).GetOrder(t.Context(), &orderv1.GetOrderRequest{})
	wantStatus(t, err, codes.Unavailable, "COLLISION", "try again")
	if got := calls.Load(); got != 1 {
		t.Errorf("the server was called %d times, want once", got)
	}
}

// A caller's options come beside those that every client has.
func TestAClientTakesOptionsBesideItsOwn(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{})
	var called []string
	conn, err := Dial(s.conn.Target(), grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker,
		options ...grpc.CallOption,
	) error {
		called = append(called, method)
		return call(ctx, method, req, reply, cc, options...)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := orderv1.NewOrderServiceClient(conn).GetOrder(t.Context(), &orderv1.GetOrderRequest{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/order.v1.OrderService/GetOrder"}; !slices.Equal(called, want) {
		t.Errorf("the interceptor saw %q, want %q", called, want)
	}
}

// proxied is the address that a child of this test binary calls, with a proxy in its environment.
const proxied = "RPC_TEST_PROXIED"

// A proxy is meant for the way out. 0.0.0.0 is this machine too, and of its addresses the one that every resolver takes
// and that HTTPS_PROXY does not exempt. The environment is read once in a process: the call is made by another one.
func TestNoProxyIsAskedBetweenOurOwnProcesses(t *testing.T) {
	t.Parallel()
	if target := os.Getenv(proxied); target != "" {
		callOrders(t, target)
		return
	}
	s := start(t, &orders{})
	_, port, err := net.SplitHostPort(s.conn.Target())
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://127.0.0.1:1"
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), proxied+"=0.0.0.0:"+port, "GORACE=atexit_sleep_ms=0",
		"HTTPS_PROXY="+nobody, "https_proxy="+nobody, "NO_PROXY=", "no_proxy=")
	if output, err := child.CombinedOutput(); err != nil || !strings.Contains(string(output), "PASS") {
		t.Errorf("got %v, want the call answered:\n%s", err, output)
	}
}

func callOrders(t *testing.T, target string) {
	t.Helper()
	conn, err := Dial(target)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := orderv1.NewOrderServiceClient(conn).GetOrder(t.Context(), &orderv1.GetOrderRequest{}); err != nil {
		t.Error(err)
	}
}

// What a client is answered has it ask nothing of its own: a ping for each answer would wake either side once more.
func TestAnAnswerIsFollowedByNoPing(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{size: 1 << 10})
	sent := make(chan []byte, 1000)
	conn, err := Dial(s.address, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		return overheard{conn, sent}, err
	}))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // a ping would go before the next call
		_, err := orderv1.NewOrderServiceClient(conn).GetOrder(t.Context(), &orderv1.GetOrderRequest{})
		if err != nil {
			t.Fatal(err)
		}
	}
	conn.Close()
	var all bytes.Buffer
	for calls := 0; calls < 3; {
		frames := http2.NewFramer(nil, bytes.NewReader(after(&all, <-sent)))
		calls = 0
		for f, err := frames.ReadFrame(); err == nil; f, err = frames.ReadFrame() {
			switch f.Header().Type {
			case http2.FramePing:
				t.Fatal("got a ping, want calls alone")
			case http2.FrameHeaders:
				calls++
			}
		}
	}
}

// after adds what was sent to all of it, and returns what came after the preface.
func after(all *bytes.Buffer, sent []byte) []byte {
	all.Write(sent)
	frames, _ := bytes.CutPrefix(all.Bytes(), []byte(http2.ClientPreface))
	return frames
}

// overheard is a connection that tells what is sent.
type overheard struct {
	net.Conn

	sent chan<- []byte
}

func (o overheard) Write(b []byte) (int, error) {
	o.sent <- bytes.Clone(b)
	return o.Conn.Write(b)
}
