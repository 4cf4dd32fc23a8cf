package main

import (
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"

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
		{[]string{"watch"}, func(c *commands) []*certificate { return []*certificate{c.Watch.certificate} }},
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
