package stack_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"hosho/internal/authority"
	"hosho/internal/identity"
	"hosho/internal/lab/proxy"
	"hosho/internal/lab/stack"
	"hosho/internal/proc"
	"hosho/internal/rpc"
	"hosho/internal/slow"
)

// strangers are certificates that prove nothing: of another authority, of another time. Nobody is let in by them, and
// nobody is asked who has one.
func strangers(t *testing.T, a *authority.Authority, id string) map[string]*tls.Certificate {
	t.Helper()
	another, _, err := authority.New("another", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	wanted := authority.Wanted{Identity: id, Names: []string{"127.0.0.1"}, Until: now.Add(time.Hour)}
	expired, early := wanted, wanted
	expired.From, expired.Until = now.Add(-2*time.Hour), now.Add(-time.Hour)
	early.From, early.Until = now.Add(time.Hour), now.Add(2*time.Hour)
	return map[string]*tls.Certificate{
		"another authority's": pair(t, another, wanted),
		"expired":             pair(t, a, expired), "not yet valid": pair(t, a, early),
	}
}

func pair(t *testing.T, a *authority.Authority, w authority.Wanted) *tls.Certificate {
	t.Helper()
	text, err := a.Issue(w)
	if err != nil {
		t.Fatal(err)
	}
	made, err := tls.X509KeyPair(text.Cert, text.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &made
}

// opened puts a certificate into files, as a process has it.
func opened(t *testing.T, p authority.Pair, authorities []byte) *identity.Keeper {
	t.Helper()
	dir := t.TempDir()
	if err := authority.Put(dir, p, authorities); err != nil {
		t.Fatal(err)
	}
	keeper, err := identity.Open(identity.Files{
		Cert: filepath.Join(dir, authority.CertFile), Key: filepath.Join(dir, authority.KeyFile),
		CA: filepath.Join(dir, authority.CAFile),
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return keeper
}

// Who has no certificate, or one that proves nothing, gets no connection to any daemon; who is somebody that the policy
// does not know gets one, and may do nothing with it.
func TestNobodyIsLetInWhoIsNotWhoHeSays(t *testing.T) {
	t.Parallel()
	s := start(t, bin, 1, func(c *stack.Config) { c.TLS = true })
	clients := strangers(t, s.Authority(), authority.ID("operator"))
	clients["none"] = &tls.Certificate{}
	unknown := authority.Wanted{Identity: authority.ID("unknown"), Until: time.Now().Add(time.Hour)}
	elsewhere := authority.Wanted{Identity: "spiffe://elsewhere.test/operator", Until: time.Now().Add(time.Hour)}
	clients["unknown"], clients["elsewhere"] = pair(t, s.Authority(), unknown), pair(t, s.Authority(), elsewhere)
	good := authority.Wanted{Identity: authority.ID("operator"), Until: time.Now().Add(time.Hour)}
	clients["good"] = pair(t, s.Authority(), good)
	want := map[string]codes.Code{
		"unknown": codes.PermissionDenied, "elsewhere": codes.PermissionDenied, "good": codes.OK,
	}
	for p, method := range map[*stack.Process]string{
		s.Orderd: "order.v1.OrderService/ListOrders:all", s.Paymentd: "payment.v1.PaymentService/GetDatabase",
		s.Relays[0]: "relay.v1.OutboxService/GetBacklog",
	} {
		for name, certificate := range clients {
			creds := credentials.NewTLS(&tls.Config{
				InsecureSkipVerify: true, // whether it is let in is the daemon's affair alone
				// the certificate, whatever authorities the daemon asks for
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return certificate, nil
				},
			})
			err := s.calls(t, p.Address, grpc.WithTransportCredentials(creds), method)
			code, known := want[name]
			if !known {
				code = codes.Unavailable
			}
			reason := ""
			if code == codes.PermissionDenied {
				reason = "NOT_ALLOWED"
			}
			if status.Code(err) != code || rpc.Reason(err) != reason {
				t.Errorf("%s, by a client whose certificate is %s: got %v, want %s %s", p.Name, name, err, code, reason)
			}
		}
	}
}

// Somebody answers at paymentd's address whose certificate proves nothing, or that he is somebody else. The relay sends
// him no command: the order waits, and is paid by the right one.
func TestARelayAsksNobodyWhoIsNotPaymentd(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes")
	var link *proxy.Proxy
	s := start(t, bin, 1, func(c *stack.Config) {
		c.TLS = true
		c.Route = toPaymentd(&link)
	})
	t.Cleanup(func() { _ = link.Close() }) // nothing is lost with it any more
	servers := strangers(t, s.Authority(), authority.ID("paymentd"))
	for _, name := range []string{"relay", "unknown"} {
		servers[name] = pair(t, s.Authority(), authority.Wanted{
			Identity: authority.ID(name), Names: []string{"127.0.0.1"}, Until: time.Now().Add(time.Hour),
		})
	}
	for name, certificate := range servers {
		impostor := impersonate(t, certificate)
		link.Redirect(impostor.address)
		link.Reset()
		order := s.place(t, 1200)
		s.await(t, "it was tried twice", `SELECT claims > 1 FROM outbox WHERE key = $1`, order)
		if impostor.reached.Load() == 0 || impostor.asked.Load() > 0 {
			t.Errorf("%s: got %d connections and %d calls, want some and none", name, impostor.reached.Load(),
				impostor.asked.Load())
		}
		link.Redirect(s.Paymentd.Address)
		link.Reset()
		s.await(t, "it is paid", `SELECT status = 'COMPLETED' FROM orders WHERE id = $1`, order)
	}
}

// toPaymentd leads the relays to paymentd through a proxy.
func toPaymentd(link **proxy.Proxy) func(from, to, address string) (string, error) {
	return func(_, to, address string) (_ string, err error) {
		if to != "paymentd" {
			return address, nil
		}
		if *link, err = proxy.Listen(address); err != nil {
			return "", err
		}
		return (*link).Address(), nil
	}
}

// impostor is a server at whose certificate somebody looks.
type impostor struct {
	address        string
	reached, asked atomic.Int64
}

func impersonate(t *testing.T, certificate *tls.Certificate) *impostor {
	t.Helper()
	i := &impostor{}
	listener, err := proc.Listen()
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			i.reached.Add(1)
			return certificate, nil
		},
	})), grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		i.asked.Add(1)
		return status.Error(codes.Internal, "got you")
	}))
	go func() { _ = server.Serve(net.Listener(listener)) }() // ends with Stop
	t.Cleanup(server.Stop)
	i.address = listener.Addr().String()
	return i
}
