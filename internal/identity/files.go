package identity

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Files name what a process proves itself with: its certificate with those between it and an authority, the
// certificate's key, and the certificates of the authorities that it trusts, all of them PEM.
type Files struct {
	Cert, Key, CA string
}

// None reports whether there are no files: then everything is plaintext.
func (f Files) None() bool { return f == Files{} }

// material is what is made of files that are good.
type material struct {
	id      spiffeid.ID
	pair    tls.Certificate
	pool    *x509.CertPool // of the authorities
	expires time.Time      // the first of the certificate and those between it and an authority
	trusted time.Time      // until when an authority is good that it was signed by
	server  *tls.Config    // of a connection that comes now
}

// check makes material of what the files hold. Its error says what is wrong, and with which: the key is another
// certificate's, no authority among them signed the certificate, its time has not come or is over, or it names nobody,
// or another than before.
func (f Files) check(contents [][]byte, old *material, now time.Time) (*material, error) {
	cert, key, ca := contents[0], contents[1], contents[2]
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", f.Cert, f.Key, err)
	}
	authorities, err := authorities(ca)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.CA, err)
	}
	chain := make([]*x509.Certificate, len(pair.Certificate))
	for i, raw := range pair.Certificate {
		if chain[i], err = x509.ParseCertificate(raw); err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", f.Cert, i+1, err)
		}
	}
	id, err := nameIn(chain[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Cert, err)
	}
	verified, err := verify(id, chain, authorities, now)
	if err != nil {
		return nil, fmt.Errorf("%s, by the authorities of %s: %w", f.Cert, f.CA, err)
	}
	if old != nil && id != old.id {
		return nil, fmt.Errorf("%s: it names %s, and this process is %s", f.Cert, id, old.id)
	}
	m := &material{id: id, pair: pair, pool: x509.NewCertPool(), expires: chain[0].NotAfter}
	for _, a := range authorities {
		m.pool.AddCert(a)
	}
	for _, c := range chain[1:] {
		if c.NotAfter.Before(m.expires) {
			m.expires = c.NotAfter
		}
	}
	for _, path := range verified {
		if by := path[len(path)-1].NotAfter; by.After(m.trusted) {
			m.trusted = by // while the authority changes there is an old one and a new one
		}
	}
	m.server = m.serverConfig()
	return m, nil
}

// authorities reads certificates of authorities.
func authorities(text []byte) (all []*x509.Certificate, err error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("got a %s, want certificates alone", block.Type)
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		if !authority.IsCA {
			return nil, fmt.Errorf("certificate %d, of %s: it may sign none", len(all)+1, authority.Subject)
		}
		all = append(all, authority)
	}
	if len(all) == 0 {
		return nil, errors.New("got no certificate of an authority")
	}
	return all, nil
}

// verify returns the chains from a certificate to the authorities, by SPIFFE's rules for one that is somebody's own.
func verify(
	id spiffeid.ID, chain, authorities []*x509.Certificate, now time.Time,
) ([][]*x509.Certificate, error) {
	trusted := x509bundle.FromX509Authorities(id.TrustDomain(), authorities)
	_, verified, err := x509svid.Verify(chain, trusted, x509svid.WithTime(now))
	return verified, err
}

// nameIn returns the identity that a certificate gives its owner: its only URI, which is a SPIFFE ID with a path.
func nameIn(c *x509.Certificate) (spiffeid.ID, error) {
	id, err := x509svid.IDFromCert(c)
	if err == nil && id.Path() == "" {
		err = fmt.Errorf("%s has no path", id)
	}
	if err != nil {
		return spiffeid.ID{}, fmt.Errorf("the certificate of %s names nobody: %w", c.Subject, err)
	}
	return id, nil
}
