package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/identity"
	"hosho/internal/policy"
	"hosho/internal/rpc"
)

// TLS is the flags of a process's certificate.
type TLS struct {
	Cert string `name:"tls-cert" type:"given" env:"${env}_TLS_CERT" placeholder:"FILE" help:"${tls_cert_help}"`

	Key string `name:"tls-key" type:"given" env:"${env}_TLS_KEY" placeholder:"FILE" help:"${tls_key_help}"`

	CA string `name:"tls-ca" type:"given" env:"${env}_TLS_CA" placeholder:"FILE" help:"${tls_ca_help}"`
}

// Open reads the certificate; nil: there is none, and all is plaintext.
func (t TLS) Open(log *slog.Logger) (*identity.Keeper, error) {
	files := identity.Files{Cert: t.Cert, Key: t.Key, CA: t.CA}
	if files.None() {
		return nil, nil
	}
	return identity.Open(files, log)
}

// Security is the flags of who may reach a daemon, and what he may there.
type Security struct {
	TLS

	Allow string `type:"given" env:"${env}_ALLOW" placeholder:"FILE" help:"${allow_help}"`

	Insecure bool `env:"${env}_INSECURE" help:"${insecure_help}"`
}

// Secured is a daemon's certificate and its policy: both of them, or none.
type Secured struct {
	Identity *identity.Keeper
	policy   *policy.Guard
	insecure bool // it is to do without them
	hangups  chan os.Signal
}

// Open reads both. Certificates without a policy would let everybody do everything who has one, and a policy means
// nothing where nobody has an identity: neither was meant.
func (s Security) Open(log *slog.Logger, registry *prometheus.Registry) (*Secured, error) {
	keeper, err := s.TLS.Open(log)
	switch {
	case err != nil:
		return nil, err
	case keeper == nil && s.Allow == "":
		return &Secured{insecure: s.Insecure}, nil
	case s.Insecure:
		return nil, errors.New("--insecure is for a daemon without a certificate, and this one has --tls-cert or " +
			"--allow: leave one of them away")
	case keeper == nil:
		return nil, errors.New("--allow says what identities may, and there are none: --tls-cert, --tls-key and " +
			"--tls-ca are missing")
	case s.Allow == "":
		return nil, errors.New("--allow is missing: a file that says which identity may call what, and for which " +
			"customers; sagactl certs writes one")
	}
	allowed, err := policy.Open(s.Allow, log)
	if err != nil {
		return nil, err
	}
	keeper.Register(registry)
	allowed.Register(registry)
	log.Info("every connection needs a certificate", "identity", keeper.ID(), "policy", s.Allow)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // until the process ends: from now on it ends nobody
	return &Secured{Identity: keeper, policy: allowed, hangups: hangups}, nil
}

// Apply has a server ask for certificates, and for what the policy says.
func (s *Secured) Apply(c *rpc.ServerConfig) {
	c.Insecure = s.insecure
	if s.Identity != nil {
		c.Identity, c.Authorize = s.Identity, s.policy.Authorize
	}
}

// Run goes on with what is put into the files, until ctx ends. A SIGHUP has it look at them at once.
func (s *Secured) Run(ctx context.Context) {
	if s.Identity == nil {
		return
	}
	var all sync.WaitGroup
	all.Go(func() { s.Identity.Run(ctx) })
	all.Go(func() { s.policy.Run(ctx) })
	all.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.hangups:
				s.Identity.Now()
				s.policy.Now()
			}
		}
	})
	all.Wait()
}
