package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// One call and one stream are under way when the server is told to stop. The call is answered; the stream, which would
// go on for ever, ends as Stopping has it end.
func TestAStoppingServerFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	waits, release, stopping := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := start(t, &orders{
		get: func(context.Context) error { close(waits); <-release; return nil },
		watch: func(context.Context) error {
			<-stopping
			return fmt.Errorf("watch: %w", ErrStopping)
		},
	}, func(c *ServerConfig) { c.Stopping = func() { close(stopping) } })
	stream, err := s.open(t, t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() { answered <- s.get(t.Context()) }()
	<-waits

	s.stop()
	_, err = stream.Recv()
	wantStatus(t, err, codes.Unavailable, "STOPPING", "the server is stopping: try again")
	select {
	case <-s.done:
		t.Error("the server has stopped while a call is under way")
	default:
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the call: got %v, want its answer", err)
	}
	<-s.done
}

func TestReflectionIsServedIfAskedFor(t *testing.T) {
	t.Parallel()
	for on, want := range map[bool]codes.Code{true: codes.OK, false: codes.Unimplemented} {
		s := start(t, &orders{}, func(c *ServerConfig) { c.Reflection = on })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
				FileContainingSymbol: "order.v1.OrderService",
			},
		}); err != nil && !errors.Is(err, io.EOF) { // EOF: the reply, which may be there already, says why
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if status.Code(err) != want || on && len(reply.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
			t.Errorf("reflection %v: got %v, %v, want %s", on, reply, err, want)
		}
		cancel()
	}
}

// admitted counts the calls that a stats handler hears of.
type admitted struct{ calls chan string }

func (a admitted) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	a.calls <- info.FullMethodName
	return ctx
}
func (a admitted) HandleRPC(context.Context, stats.RPCStats)                         {}
func (a admitted) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (a admitted) HandleConn(context.Context, stats.ConnStats)                       {}

func TestAServerTakesOptionsBesideItsOwn(t *testing.T) {
	t.Parallel()
	heard := admitted{calls: make(chan string, 10)}
	s := start(t, &orders{}, func(c *ServerConfig) { c.Options = []grpc.ServerOption{grpc.StatsHandler(heard)} })
	if err := s.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := <-heard.calls, "/order.v1.OrderService/GetOrder"; got != want {
		t.Errorf("the stats handler heard of %s, want %s", got, want)
	}
	s.log.call(t) // the server's own interceptors are there as well
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, spoil := range map[string]func(*ServerConfig){
		"listen for gRPC: ":    func(c *ServerConfig) { c.Listen = taken.Addr().String() },
		"listen for metrics: ": func(c *ServerConfig) { c.AdminListen = taken.Addr().String() },
	} {
		c := config(&orders{}, newLogLines())
		spoil(&c)
		if err := Serve(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
