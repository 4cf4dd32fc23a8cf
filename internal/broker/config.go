package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// Config is how a broker is reached.
type Config struct {
	Addresses []string // host:port of each server that may be asked first
	// User and Password are empty where a certificate says who this is, and on loopback.
	User, Password string
	// Mechanism is Kafka's name of how the password is told: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Others have one.
	Mechanism string
	// CredentialsFile is a file of NATS' own form, with a token and a key, instead of a password.
	CredentialsFile string
	// VHost is the part of a RabbitMQ server that is meant; empty: the usual one.
	VHost string
	// TLS are the files of it; nil: plaintext.
	TLS *TLS
	// Client is the name by which the broker's operators know this connection.
	Client string
}

// TLS names what a connection is secured with, all of it PEM. Files are read at each connection, so that what is put
// into them counts from the next one on.
type TLS struct {
	CA        string // the authorities that the broker's certificate is to be from; empty: this machine's
	Cert, Key string // who this is; empty: no certificate says it
}

// Config returns the TLS of a connection that is made now. The broker must be who its certificate says.
func (t *TLS) Config() (*tls.Config, error) {
	roots, err := t.Roots()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if t.Cert != "" {
		pair, err := t.Pair()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Roots returns the authorities; nil: this machine's.
func (t *TLS) Roots() (*x509.CertPool, error) {
	if t.CA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: got no certificate of an authority", t.CA)
	}
	return pool, nil
}

// Pair returns the certificate that says who this is.
func (t *TLS) Pair() (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return pair, fmt.Errorf("%s and %s: %w", t.Cert, t.Key, err)
	}
	return pair, nil
}
