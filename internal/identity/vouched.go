package identity

import (
	"context"
	"net"
	"net/http"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Caller is who makes a call over HTTP: his identity, empty where there are no certificates, and the host that he calls
// from.
type Caller struct{ ID, Host string }

// CallerOf returns whose an HTTP request is. Its connection has a certificate that was looked at, or there are none.
func CallerOf(r *http.Request) (Caller, error) {
	c := Caller{Host: r.RemoteAddr}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		c.Host = host
	}
	if r.TLS == nil {
		return c, nil
	}
	id, err := nameIn(r.TLS.PeerCertificates[0])
	c.ID = id.String()
	return c, err
}

type callerKey struct{}

// With has the calls that are made with a context be a caller's, where the process vouches for him.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// Vouching is what a connection within the process says of its other end: the process itself, which says of each call
// whose it is. Nobody else is believed when he does.
type Vouching struct{ credentials.CommonAuthInfo }

// AuthType is called by gRPC.
func (Vouching) AuthType() string { return "memory" }

// The metadata in which a process says whose a call is.
const (
	vouchedID   = "hosho-caller"
	vouchedHost = "hosho-caller-host"
)

// Vouch has a call say whose it is. What else was said of that is taken away.
func Vouch(ctx context.Context) context.Context {
	c, _ := ctx.Value(callerKey{}).(Caller)
	said, _ := metadata.FromOutgoingContext(ctx) // a copy
	if said == nil {
		said = metadata.MD{}
	}
	said.Set(vouchedID, c.ID)
	said.Set(vouchedHost, c.Host)
	return metadata.NewOutgoingContext(ctx, said)
}

// Vouched returns whose a call is for whom the process vouches, and reports false for any other.
func Vouched(ctx context.Context) (Caller, bool) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return Caller{}, false
	}
	if _, within := from.AuthInfo.(Vouching); !within {
		return Caller{}, false
	}
	first := func(key string) string {
		if said := metadata.ValueFromIncomingContext(ctx, key); len(said) > 0 {
			return said[0]
		}
		return ""
	}
	return Caller{first(vouchedID), first(vouchedHost)}, true
}
