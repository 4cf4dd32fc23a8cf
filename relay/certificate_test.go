package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hosho/internal/authority"
	"hosho/internal/daemon"
)

// A relay that knows who paymentd must be and has no certificate could not find out, and one that has a certificate and
// does not know would send every command to anybody: neither starts.
func TestARelayKnowsWhoPaymentdIsWhereItCanTell(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := authority.Fill(folder, []string{"relay"}, nil); err != nil {
		t.Fatal(err)
	}
	allow := filepath.Join(folder, "policy")
	const line = "spiffe://hosho.test/operator relay.v1.OutboxService/GetBacklog *"
	if err := os.WriteFile(allow, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(folder, "relay")
	certified := daemon.Security{Allow: allow, TLS: daemon.TLS{
		Cert: filepath.Join(own, authority.CertFile), Key: filepath.Join(own, authority.KeyFile),
		CA: filepath.Join(own, authority.CAFile),
	}}
	for _, tt := range []struct {
		given serve
		want  string
	}{
		{
			serve{To: transport{PaymentIdentity: authority.ID("paymentd")}},
			"--payment-identity says who paymentd must be, and without",
		},
		{serve{Security: certified}, "--payment-identity is missing: with a certificate"},
	} {
		s := tt.given
		s.Database = daemon.Database{DatabaseURL: "postgres://127.0.0.1:1/nowhere"}
		s.Pace, s.To.PaymentTarget = quick(), "127.0.0.1:1"
		err := s.Run(t.Context(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %q", tt.given.To.PaymentIdentity, err, tt.want)
		}
	}
}
