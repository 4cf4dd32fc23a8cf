package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"syscall"

	"google.golang.org/grpc/codes"
)

// handshakeFailed returns what hears of connections that were not let in, for their certificates or for none. Each is
// counted, and the first in a while is told. Who only looks whether somebody listens, as probes do, is no news.
func (m metrics) handshakeFailed(log *slog.Logger, refusals *Sampler) func(from net.Addr, err error) {
	return func(from net.Addr, err error) {
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return
		}
		m.handshakes.Inc()
		if refusals.Tells(context.Background(), "TLS handshake", codes.Unauthenticated, "") {
			log.Warn("a connection was refused", "from", from.String(), "error", Brief(err.Error(), longestError))
		}
	}
}
