// Package identity is who a process is and whom it talks to, by certificates that are files (mutual TLS 1.3).
//
// Its promise: a connection has two ends whose certificates an authority has signed that is trusted at that moment, who
// are who they are expected to be. A process whose files change goes on with the new ones, the authorities' too, and
// no call fails for it; or with the old ones, where something is wrong with the new.
//
// An identity is the only URI of a certificate, a SPIFFE ID with a path: spiffe://example.org/shop. What a connection
// was let in for it may do until it ends (rpc's MaxConnectionAge), whatever becomes of its certificate meanwhile.
package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Parse returns an identity as it is written, or an error when it is none.
func Parse(text string) (string, error) {
	id, err := spiffeid.FromString(text)
	if err == nil && id.Path() == "" {
		err = errors.New("it has no path")
	}
	if err != nil {
		return "", fmt.Errorf("got %q, want an identity like spiffe://example.org/shop: %w", text, err)
	}
	return id.String(), nil
}

// Peer is what a connection says of its other end.
type Peer struct {
	credentials.TLSInfo

	ID string
}

// Of returns who called; empty where there are no certificates.
func Of(ctx context.Context) string {
	if from, ok := peer.FromContext(ctx); ok {
		if p, ok := from.AuthInfo.(Peer); ok {
			return p.ID
		}
	}
	caller, _ := Vouched(ctx)
	return caller.ID
}

// Server is how a server lets clients in. refused, if not nil, hears of those that it does not.
func (k *Keeper) Server(refused func(from net.Addr, err error)) credentials.TransportCredentials {
	return &handshakes{credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return k.Load().server, nil
		},
	}), refused}
}

// HTTP is how a server of HTTP/1.1 lets clients in, whom it then knows by CallerOf.
func (k *Keeper) HTTP() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config := k.Load().server.Clone()
			config.NextProtos = []string{"http/1.1"}
			return config, nil
		},
	}
}

// serverConfig is that of the connections that come while the material is the current one. There are no tickets: who
// resumes a session with one is not looked at again.
func (m *material) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{m.pair},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: m.pool,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := nameIn(state.PeerCertificates[0])
			return err
		},
	}
}

// Client is how a client finds out that a server is the one with an identity; or, if that is empty, one with the name
// by which it was dialled.
func (k *Keeper) Client(server string) credentials.TransportCredentials {
	return &handshakes{credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &k.Load().pair, nil
		},
		// The authorities would be those of the beginning for ever: VerifyConnection does all of it.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return k.Load().expects(state, server) },
	}), nil}
}

// expects returns an error when the other end of a connection is not a server with an identity, or with its name.
func (m *material) expects(state tls.ConnectionState, server string) error {
	options := x509.VerifyOptions{Roots: m.pool, Intermediates: x509.NewCertPool()} // for servers, by default
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if server == "" {
		options.DNSName = state.ServerName
	}
	leaf := state.PeerCertificates[0]
	if _, err := leaf.Verify(options); err != nil {
		return err
	}
	id, err := nameIn(leaf)
	if err != nil {
		return err
	}
	if server != "" && id.String() != server {
		return fmt.Errorf("the server is %s, want %s", id, server)
	}
	return nil
}

// handshakes notes who is at the other end of each connection.
type handshakes struct {
	credentials.TransportCredentials

	refused func(from net.Addr, err error)
}

func (h *handshakes) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ServerHandshake(raw)
	if err != nil && h.refused != nil {
		h.refused(raw.RemoteAddr(), err)
	}
	return known(conn, info, err)
}

func (h *handshakes) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	return known(h.TransportCredentials.ClientHandshake(ctx, authority, raw))
}

func (h *handshakes) Clone() credentials.TransportCredentials {
	return &handshakes{h.TransportCredentials.Clone(), h.refused}
}

func known(conn net.Conn, info credentials.AuthInfo, err error) (net.Conn, credentials.AuthInfo, error) {
	if err != nil {
		return conn, info, err
	}
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok || len(tlsInfo.State.PeerCertificates) == 0 {
		return nil, nil, fmt.Errorf("got %T, want a TLS connection with a certificate", info)
	}
	id, err := nameIn(tlsInfo.State.PeerCertificates[0])
	if err != nil {
		return nil, nil, err
	}
	return conn, Peer{tlsInfo, id.String()}, nil
}
