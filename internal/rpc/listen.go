package rpc

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
)

// listeners are a server's addresses. One that is not wanted is nil.
type listeners struct{ grpc, admin, http net.Listener }

// listen opens the server's addresses, or none.
func (c ServerConfig) listen() (l listeners, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.grpc, err = net.Listen("tcp", c.Listen); err != nil {
		return l, fmt.Errorf("listen for gRPC: %w", err)
	}
	if c.plaintext(l.grpc) && !c.Insecure {
		return l, fmt.Errorf("%s is off loopback, and without a certificate whoever reaches it may call every method: "+
			"give --tls-cert, --tls-key, --tls-ca and --allow, listen on loopback, or say --insecure", c.Listen)
	}
	if c.AdminListen != "" {
		if l.admin, err = net.Listen("tcp", c.AdminListen); err != nil {
			return l, fmt.Errorf("listen for metrics: %w", err)
		}
	}
	if c.HTTP.Listen == "" {
		return l, nil
	}
	if l.http, err = net.Listen("tcp", c.HTTP.Listen); err != nil {
		return l, fmt.Errorf("listen for HTTP: %w", err)
	}
	if c.plaintext(l.http) { // whatever Insecure says: a browser comes from anywhere
		return l, fmt.Errorf("%s is off loopback, where HTTP wants a certificate: give --tls-cert, --tls-key, "+
			"--tls-ca and --allow, or listen on loopback", c.HTTP.Listen)
	}
	return l, nil
}

// attrs tell where a server listens.
func (l listeners) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("address", addressOf(l.grpc)), slog.String("admin", addressOf(l.admin))}
	if l.http != nil {
		attrs = append(attrs, slog.String("http", addressOf(l.http)))
	}
	return attrs
}

func (l listeners) close() error {
	var all []error
	for _, listener := range []net.Listener{l.grpc, l.admin, l.http} {
		if listener != nil {
			all = append(all, listener.Close())
		}
	}
	return errors.Join(all...)
}

// plaintext reports whether a server would speak to other machines without TLS.
func (c ServerConfig) plaintext(listener net.Listener) bool {
	return c.Identity == nil && !isLoopback(listener)
}

// isLoopback reports whether nobody but this machine reaches a listener. Every interface is more than loopback.
func isLoopback(listener net.Listener) bool {
	address, ok := listener.Addr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}

// addressOf is where a listener listens, which port 0 does not tell; empty where there is none.
func addressOf(listener net.Listener) string {
	if listener == nil {
		return ""
	}
	return listener.Addr().String()
}

// warn tells at each start what somebody has chosen who has a server speak to other machines without TLS.
func warn(log *slog.Logger, grpc net.Listener) {
	log.Warn("gRPC is served off loopback without TLS", "address", addressOf(grpc),
		"means", "whoever reaches it may call every method, and whoever is between reads along and may change it",
		"do", "give it a certificate, or keep it behind something that has TLS and authentication")
}
