package main

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"hosho/internal/authority"
)

// Every verb that asks a daemon asks with the certificate that it was given.
func TestEachVerbHasTheCertificate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := authority.Fill(folder, []string{"operator"}, nil); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(folder, "operator")
	flags := []string{
		"--tls-cert", filepath.Join(own, authority.CertFile), "--tls-key", filepath.Join(own, authority.KeyFile),
		"--tls-ca", filepath.Join(own, authority.CAFile),
	}
	for _, tt := range []struct {
		args []string
		of   func(c *commands) []*certificate
	}{
		{[]string{"status"}, func(c *commands) []*certificate {
			s := c.Status
			return []*certificate{s.orderd.certificate, s.paymentd.certificate, s.relay.certificate}
		}},
		{[]string{"parked"}, func(c *commands) []*certificate { return []*certificate{c.Parked.certificate} }},
		{[]string{"order", "create", "1200"}, func(c *commands) []*certificate {
			return []*certificate{c.Order.Create.certificate}
		}},
		{[]string{"explain", "0190b6a4-7c5e-7d3a-8f00-0123456789ab"}, func(c *commands) []*certificate {
			e := c.Explain
			return []*certificate{e.orderd.certificate, e.paymentd.certificate, e.relay.certificate}
		}},
		{[]string{"watch"}, func(c *commands) []*certificate {
			return []*certificate{c.Watch.orderd.certificate, c.Watch.relay.certificate}
		}},
		{[]string{"orders"}, func(c *commands) []*certificate { return []*certificate{c.Orders.certificate} }},
	} {
		c := &commands{}
		parser, err := newParser(c, kong.Exit(func(int) { t.Error("it ended") }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(append(tt.args, flags...)); err != nil {
			t.Fatalf("%v: %v", tt.args, err)
		}
		for n, got := range tt.of(c) {
			if got == nil || got.keeper == nil || got.keeper.ID() != authority.ID("operator") {
				t.Errorf("%v: %d: got %+v, want the operator's", tt.args, n, got)
			}
		}
	}
}

// Somebody answers at orderd's address whose certificate proves nothing, or that he is somebody else. He is asked
// nothing, and that is said; the right one is asked.
func TestADaemonThatIsNotTheOneIsNotAsked(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	a, err := authority.Fill(folder, []string{"operator"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	another, _, err := authority.New("another", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	wanted := func(name string, from, until time.Duration) authority.Wanted {
		return authority.Wanted{Identity: authority.ID(name), From: now.Add(from), Until: now.Add(until)}
	}
	own := filepath.Join(folder, "operator")
	for _, tt := range []struct {
		name   string
		by     *authority.Authority
		wanted authority.Wanted
		more   []string
		want   string
	}{
		{"the right one", a, wanted("orderd", -time.Hour, time.Hour), nil, "is another service than orderd"},
		{
			"one that is named", a, wanted("orderd-2", -time.Hour, time.Hour),
			[]string{"--orderd-identity", authority.ID("orderd-2")},
			"is another service than orderd",
		},
		{"another authority's", another, wanted("orderd", -time.Hour, time.Hour), nil, "unknown authority"},
		{"expired", a, wanted("orderd", -2*time.Hour, -time.Hour), nil, "expired"},
		{"not yet valid", a, wanted("orderd", time.Hour, 2*time.Hour), nil, "is not yet valid"},
		{
			"somebody else's", a, wanted("relay", -time.Hour, time.Hour), nil,
			"the server is spiffe://hosho.test/relay, want spiffe://hosho.test/orderd",
		},
	} {
		cmd, _ := sagactl(t, append([]string{
			"orders", "--orderd", serveAs(t, tt.by, tt.wanted), "--tls-cert", filepath.Join(own, authority.CertFile),
			"--tls-key", filepath.Join(own, authority.KeyFile), "--tls-ca", filepath.Join(own, authority.CAFile),
		}, tt.more...)...)
		output, err := cmd.CombinedOutput()
		if codeOf(err) != 2 || !strings.Contains(string(output), tt.want) {
			t.Errorf("%s: got %v\n%s\nwant exit code 2, and %q", tt.name, err, output, tt.want)
		}
	}
}

// serveAs serves nothing, with a certificate, and returns where.
func serveAs(t *testing.T, by *authority.Authority, w authority.Wanted) string {
	t.Helper()
	made, err := by.Issue(w)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(made.Cert, made.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}
