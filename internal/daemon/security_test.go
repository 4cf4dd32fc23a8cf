package daemon

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
)

// A part of what belongs together is no plaintext that somebody meant: the start is refused, and says what is missing.
func TestHalfASecurityIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		given Security
		want  string
	}{
		{Security{TLS: TLS{Cert: "a"}}, "--tls-key is missing"},
		{Security{TLS: TLS{Cert: "a", Key: "b"}}, "--tls-ca is missing"},
		{Security{TLS: TLS{Key: "b", CA: "c"}}, "--tls-cert is missing"},
		{Security{Insecure: true, Allow: "policy"}, "--insecure is for a daemon without a certificate"},
		{Security{Allow: "policy"}, "--tls-cert, --tls-key and --tls-ca are missing"},
	} {
		_, err := tt.given.Open(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %q", tt.given, err, tt.want)
		}
	}
	none, err := Security{}.Open(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil || none.Identity != nil {
		t.Errorf("nothing: got %+v, error %v; want plaintext", none, err)
	}
}

// A variable that is set and empty, of a secret that is not there, does not mean plaintext.
func TestAnEmptyCertificateIsNoPlaintext(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--tls-cert=", "--tls-key=", "--tls-ca=", "--allow="} {
		var cli struct{ Security }
		p := Program{Name: "orderd", Listen: "127.0.0.1:1", AdminListen: "127.0.0.1:2", Database: "orders"}
		parser, err := kong.New(&cli, p.Options()...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse([]string{flag}); err == nil || !strings.Contains(err.Error(), "it is empty") {
			t.Errorf("%s: got %v, want it refused", flag, err)
		}
	}
}
