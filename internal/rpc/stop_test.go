package rpc

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	orderv1 "hosho/gen/order/v1"
)

// inMemory serves orders without a network, in a bubble of its own time, and opens a stream.
func inMemory(t *testing.T, o *orders) (*grpc.Server, grpc.ServerStreamingClient[orderv1.WatchOrderResponse]) {
	t.Helper()
	listener := bufconn.Listen(1 << 10)
	server := grpc.NewServer()
	orderv1.RegisterOrderServiceServer(server, o)
	go server.Serve(listener)
	conn, err := grpc.NewClient("passthrough:orders", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	stream, err := (&system{OrderServiceClient: orderv1.NewOrderServiceClient(conn)}).open(t, t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return server, stream
}

// Nobody ends the stream, and its client stays.
func TestAStreamThatIgnoresTheStopIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, stream := inMemory(t, &orders{watch: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		began := time.Now()
		stop(server, newLogLines().logger())
		if took := time.Since(began); took != StopTimeout {
			t.Errorf("stopped after %v, want %v", took, StopTimeout)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("got %v, want UNAVAILABLE", err)
		}
	})
}

// A handler stands in something that no context ends. The server stops without it, and says so.
func TestAHandlerThatStandsKeepsNoServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stands := make(chan struct{})
		server, _ := inMemory(t, &orders{watch: func(context.Context) error { <-stands; return nil }})
		log := newLogLines()
		began := time.Now()
		stop(server, log.logger())
		if took := time.Since(began); took < StopTimeout || took > 12*time.Second {
			t.Errorf("stopped after %v, want %v to 12 s", took, StopTimeout)
		}
		log.await(t, "calls do not end")
		close(stands)
	})
}
