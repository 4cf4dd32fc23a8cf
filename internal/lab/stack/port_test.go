package stack_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hosho/internal/lab/stack"
)

// Somebody takes paymentd's port between its choice and the start, and answers there that all is well. The daemons
// start on others. When somebody takes the port of a daemon that was killed, that is told.
func TestADaemonIsNotMistakenForWhoHasItsPort(t *testing.T) {
	t.Parallel()
	stolen := ""
	s := start(t, bin, 1, func(c *stack.Config) {
		c.Route = func(_, to, address string) (string, error) {
			if to == "paymentd" && stolen == "" {
				stolen = address
				stranger(t, address)
			}
			return address, nil
		}
	})
	if stolen == "" || s.Paymentd.Address == stolen {
		t.Errorf("got paymentd at %s, want it elsewhere than the stranger at %s", s.Paymentd.Address, stolen)
	}
	s.await(t, "an order is settled", `SELECT status = 'COMPLETED' FROM orders WHERE id = $1`, s.place(t, 1200))

	s.Orderd.Kill()
	stranger(t, s.Orderd.Address)
	if err := s.Orderd.Start(); err != nil {
		t.Fatal(err)
	}
	err := s.Orderd.WaitReady(t.Context())
	want := "orderd: the address is in use: " + s.Orderd.Address
	if !errors.Is(err, stack.ErrPortTaken) || !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// stranger is a server of somebody else's that is healthy.
func stranger(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	t.Cleanup(server.Stop)
}
