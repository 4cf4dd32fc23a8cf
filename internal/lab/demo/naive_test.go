package demo

import (
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hosho/internal/rpc"
)

// paymentd was killed, a call has failed for it, and the connection is not tried again for an hour. When paymentd has
// been started again the next order's call gets there all the same.
func TestTheOrderAfterAnOutageReachesPaymentd(t *testing.T) {
	t.Parallel()
	listener := listen(t, "127.0.0.1:0")
	address := listener.Addr().String()
	listener.Close()
	conn, err := rpc.Dial(address, grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{BaseDelay: time.Hour, MaxDelay: time.Hour},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	call := func() error {
		_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		return err
	}
	if err := call(); err == nil {
		t.Fatal("nobody listens, and a call succeeded")
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener = listen(t, address)
	go server.Serve(listener)
	defer server.Stop()
	if err := reconnect(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if err := call(); err != nil {
		t.Errorf("got %v, want the call to get there", err)
	}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
