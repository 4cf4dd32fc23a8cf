package rpc

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/authority"
	"hosho/internal/identity"
)

const at = "spiffe://example.org/"

// keepers makes a process's certificate for each name, by one authority.
func keepers(t *testing.T, names ...string) map[string]*identity.Keeper {
	t.Helper()
	a, _, err := authority.New("test", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*identity.Keeper{}
	for _, name := range names {
		pair, err := a.Issue(authority.Wanted{Identity: at + name, Until: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		files := identity.Files{
			Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: filepath.Join(dir, "ca.crt"),
		}
		for file, text := range map[string][]byte{files.Cert: pair.Cert, files.Key: pair.Key, files.CA: a.Cert()} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if all[name], err = identity.Open(files, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Who calls is known by its certificate, in unary calls and in streams, and what it may not call is refused before
// anything is done. Health is for everybody who has a certificate.
func TestWhoCallsIsKnownAndWhatHeMayNotIsRefused(t *testing.T) {
	t.Parallel()
	who := keepers(t, "orderd", "shop", "stranger")
	type allowedKey struct{}
	var seen []any
	o := &orders{}
	o.get = func(ctx context.Context) error {
		seen = append(seen, ctx.Value(allowedKey{}))
		return nil
	}
	o.watch = o.get
	s := serve(t, o, func(c *ServerConfig) {
		c.Identity = who["orderd"]
		c.Authorize = func(ctx context.Context, method string) (context.Context, error) {
			if id := identity.Of(ctx); id != at+"shop" {
				return nil, &NotAllowed{id + " may not " + method}
			}
			return context.WithValue(ctx, allowedKey{}, method), nil
		}
	})
	for name, want := range map[string]codes.Code{"shop": codes.OK, "stranger": codes.PermissionDenied} {
		conn, err := Dial(s.address, As(who[name], at+"orderd"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		client := orderv1.NewOrderServiceClient(conn)
		_, unary := client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: orderID})
		stream, err := client.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{OrderId: orderID})
		if err == nil {
			_, err = stream.Recv()
		}
		for what, err := range map[string]error{"unary": unary, "stream": err} {
			if status.Code(err) != want || want != codes.OK && (Reason(err) != "NOT_ALLOWED" ||
				!strings.Contains(err.Error(), at+"stranger may not /order.v1.OrderService/")) {
				t.Errorf("%s, %s: got %v, want %s", name, what, err, want)
			}
		}
		if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Errorf("%s: health: %v", name, err)
		}
	}
	if len(seen) == 0 {
		t.Error("no handler had what was allowed in its context")
	}
	line := s.log.await(t, "rpc")
	if id, _ := line["identity"].(string); !strings.HasPrefix(id, at) {
		t.Errorf("got the line %v, want who called", line)
	}
	var none grpc.DialOption = As(nil, "")
	conn, err := Dial(s.address, none)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	_, err = orderv1.NewOrderServiceClient(conn).GetOrder(ctx, &orderv1.GetOrderRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("plaintext: got %v, want it refused", err)
	}
	if line := s.log.await(t, "a connection was refused"); line["from"] == nil {
		t.Errorf("got %v, want who was refused", line)
	}
}
