// Package authority is a certificate authority for development and for tests, whose key is a file.
//
// Its promise: what it issues is what hosho's processes want of a certificate, and of no more use than that: one
// identity, for both ends of TLS, signed by a key on P-256. It revokes nothing.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"time"
)

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	text []byte // the certificate as PEM
}

// Pair is a certificate and its key as PEM.
type Pair struct {
	Cert, Key []byte
}

// early is for how long a certificate is good before it is made: clocks differ.
const early = 5 * time.Minute

// New makes an authority that is good until a time.
func New(name string, until time.Time) (*Authority, Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, Pair{}, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-early), NotAfter: until,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
		MaxPathLenZero: true,
	}
	pair, err := sign(template, template, key, key)
	if err != nil {
		return nil, Pair{}, err
	}
	a, err := Read(pair)
	return a, pair, err
}

// Read reads an authority that New made.
func Read(p Pair) (*Authority, error) {
	cert, err := decoded(p.Cert, "CERTIFICATE", x509.ParseCertificate)
	if err != nil {
		return nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	key, err := decoded(p.Key, "PRIVATE KEY", x509.ParsePKCS8PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("key of the authority: %w", err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("the key is not that of the authority's certificate")
	}
	return &Authority{cert, private, p.Cert}, nil
}

// Cert is the authority's certificate as PEM.
func (a *Authority) Cert() []byte { return a.text }

// Until is when the authority expires.
func (a *Authority) Until() time.Time { return a.cert.NotAfter }

// Wanted is what a certificate is to say.
type Wanted struct {
	Identity    string   // spiffe://example.org/shop
	Names       []string // by which others dial it: of hosts, or IP addresses
	From, Until time.Time
}

// Issue makes a key and a certificate for it. It is good no longer than the authority is.
func (a *Authority) Issue(w Wanted) (Pair, error) {
	id, err := url.Parse(w.Identity)
	if err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: path.Base(w.Identity)}, URIs: []*url.URL{id},
		NotBefore: w.From, NotAfter: w.Until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if a.cert.NotAfter.Before(template.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-early)
	}
	for _, name := range w.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return sign(template, a.cert, key, a.key)
}

// sign has the parent's key sign a certificate for another.
func sign(template, parent *x509.Certificate, key, parents *ecdsa.PrivateKey) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parents)
	if err != nil {
		return Pair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}

// decoded reads the only block of a PEM text.
func decoded[T any](text []byte, kind string, parse func([]byte) (T, error)) (read T, err error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(rest) > 0 {
		return read, fmt.Errorf("want one %s as PEM, and nothing else", kind)
	}
	return parse(block.Bytes)
}
