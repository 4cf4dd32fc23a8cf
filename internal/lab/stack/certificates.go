package stack

import (
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"hosho/internal/authority"
	"hosho/internal/identity"
	"hosho/internal/policy"
	"hosho/internal/rpc"
)

// certificates are who everybody is, where Config.TLS says so.
type certificates struct {
	folder    string
	authority *authority.Authority
	keepers   map[string]*identity.Keeper // by name; nil: there are none, and all is plaintext
}

// policyFile is the policy's name in the folder of the certificates.
const policyFile = "policy"

// hosts are by which the daemons are dialled, beside their names.
var hosts = []string{"localhost", "127.0.0.1"}

// certify makes a certificate for each daemon and for each that the policy names.
func certify(folder string) (c certificates, err error) {
	names := append([]string{"orderd", "paymentd"}, policy.Names()...)
	if c.authority, err = authority.Fill(folder, names, hosts); err != nil {
		return c, err
	}
	err = os.WriteFile(filepath.Join(folder, policyFile), []byte(policy.Shipped(authority.ID)), 0o600)
	if err != nil {
		return c, err
	}
	c.folder, c.keepers = folder, map[string]*identity.Keeper{}
	for _, name := range names {
		if c.keepers[name], err = identity.Open(c.files(name), slog.New(slog.DiscardHandler)); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c certificates) files(name string) identity.Files {
	own := filepath.Join(c.folder, name)
	return identity.Files{
		Cert: filepath.Join(own, authority.CertFile), Key: filepath.Join(own, authority.KeyFile),
		CA: filepath.Join(own, authority.CAFile),
	}
}

// settings are the variables by which a daemon has its certificate.
func (c certificates) settings(prefix, name string) []string {
	if c.keepers == nil {
		return nil
	}
	files := c.files(name)
	all := []string{
		prefix + "_TLS_CERT=" + files.Cert, prefix + "_TLS_KEY=" + files.Key, prefix + "_TLS_CA=" + files.CA,
		prefix + "_ALLOW=" + filepath.Join(c.folder, policyFile),
	}
	if name == "relay" {
		all = append(all, prefix+"_PAYMENT_IDENTITY="+authority.ID("paymentd"))
	}
	return all
}

// as is how somebody dials a daemon.
func (c certificates) as(who, daemon string) grpc.DialOption {
	return rpc.As(c.keepers[who], authority.ID(daemon))
}

// Files name the certificate of whoever is named as to Dial, or of a daemon ("orderd"): none without Config.TLS.
func (s *Stack) Files(who string) identity.Files {
	if s.certs.keepers == nil {
		return identity.Files{}
	}
	return s.certs.files(who)
}

// Keeper is the certificate itself, as it was when the stack was started; nil without Config.TLS.
func (s *Stack) Keeper(who string) *identity.Keeper { return s.certs.keepers[who] }

// Authority is whom everybody trusts; nil without Config.TLS.
func (s *Stack) Authority() *authority.Authority { return s.certs.authority }

// Certify puts a new certificate into the files of a daemon, which is good until a time.
func (s *Stack) Certify(p *Process, until time.Time) error {
	pair, err := s.certs.authority.Issue(authority.Wanted{
		Identity: authority.ID(p.program), Names: append([]string{p.program}, hosts...), Until: until,
	})
	if err != nil {
		return err
	}
	return authority.Put(filepath.Join(s.certs.folder, p.program), pair, s.certs.authority.Cert())
}

// Dial connects with a daemon of the stack as who is named: "shop", "operator", "reader", "relay". Without Config.TLS
// everybody is nobody.
func (s *Stack) Dial(p *Process, who string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return rpc.Dial(p.Address, append(options, s.certs.as(who, p.program))...)
}
