package rpc

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
)

// listen opens the server's two addresses, or none. There is no second one where AdminListen is empty.
func (c ServerConfig) listen() (grpc, admin net.Listener, err error) {
	if grpc, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, nil, fmt.Errorf("listen for gRPC: %w", err)
	}
	if c.plaintext(grpc) && !c.Insecure {
		return nil, nil, errors.Join(grpc.Close(), fmt.Errorf("%s is off loopback, and without a certificate whoever "+
			"reaches it may call every method: give --tls-cert, --tls-key, --tls-ca and --allow, listen on loopback, "+
			"or say --insecure", c.Listen))
	}
	if c.AdminListen == "" {
		return grpc, nil, nil
	}
	if admin, err = net.Listen("tcp", c.AdminListen); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listen for metrics: %w", err), grpc.Close())
	}
	return grpc, admin, nil
}

// plaintext reports whether a server would speak to other machines without TLS.
func (c ServerConfig) plaintext(grpc net.Listener) bool {
	return c.Identity == nil && !isLoopback(grpc)
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
