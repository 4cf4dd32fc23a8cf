package rpc

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"hosho/internal/identity"
)

// HTTP is a door beside gRPC's, for those who speak HTTP/1.1. What comes in there are calls of the same server.
type HTTP struct {
	Listen string // the address; empty: there is no such door
	// Handler makes what is served there of a connection to the server, which never leaves the process. A call that is
	// made over it with the context of a request is that of whoever sent the request: it is admitted, authorized,
	// counted and logged as his own would be, and nothing that he sends can have it be another's.
	Handler func(grpc.ClientConnInterface) (http.Handler, error)
}

// web is the door while it is open.
type web struct {
	listener net.Listener
	inner    *inner
	conn     *grpc.ClientConn
	server   *http.Server
}

// openHTTP makes the door to a server; nil where there is none.
func (c ServerConfig) openHTTP(listener net.Listener, refusals *Sampler, metrics metrics) (*web, error) {
	if listener == nil {
		return nil, nil
	}
	within := newInner()
	conn, err := within.dial()
	if err != nil {
		return nil, fmt.Errorf("connect within the process: %w", err)
	}
	handler, err := c.HTTP.Handler(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	told := httpLog{c.Log, metrics.handshakeFailed(c.Log, refusals)}
	w := &web{
		inner: within, conn: conn,
		// No more than a gRPC connection may have streams: there is only one of those behind them.
		listener: &crowd{Listener: listener, most: int(c.limits.streams), refused: metrics.connections.Inc},
		server: &http.Server{
			Handler: aging(c.limits.age, vouched(handler)), ErrorLog: log.New(told, "", 0),
			ReadHeaderTimeout: c.limits.httpHeaders, ReadTimeout: c.limits.httpRequest,
			WriteTimeout: c.limits.httpAnswer, IdleTimeout: c.limits.httpIdle,
			MaxHeaderBytes: int(c.limits.headers), ConnContext: born,
		},
	}
	w.server.Protocols = new(http.Protocols)
	w.server.Protocols.SetHTTP1(true)
	if c.Identity != nil {
		w.server.TLSConfig = c.Identity.HTTP()
	}
	return w, nil
}

// run serves until ctx ends, and lets requests under way finish, as the server behind them does with their calls.
func (w *web) run(ctx context.Context, server *grpc.Server, log *slog.Logger) error {
	if w == nil {
		return nil
	}
	go func() { _ = server.Serve(w.inner) }() // until the server stops
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() {
		w.stop(log)
		close(ended)
	})
	if err := w.serve(); err != nil {
		return err
	}
	<-ended
	return nil
}

func (w *web) serve() (err error) {
	if w.server.TLSConfig != nil {
		err = w.server.ServeTLS(w.listener, "", "")
	} else {
		err = w.server.Serve(w.listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

func (w *web) stop(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), StopTimeout+leaveTimeout)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		log.Warn("requests do not end", "waited", StopTimeout+leaveTimeout)
		_ = w.server.Close() // whoever is still there is told nothing any more
	}
	_ = w.conn.Close() // nobody calls over it
}

// vouched has each request know whose it is, for the calls that are made of it.
func vouched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := identity.CallerOf(r)
		if err != nil { // which the handshake has looked at
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(identity.With(r.Context(), caller)))
	})
}

type bornKey struct{}

func born(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, bornKey{}, time.Now())
}

// aging ends a connection after its next answer when it is as old as a gRPC connection may become: whose certificate or
// authority is not good any more does not come again.
func aging(age time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at, _ := r.Context().Value(bornKey{}).(time.Time); time.Since(at) > age {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// httpLog is where net/http writes what it has to say.
type httpLog struct {
	log       *slog.Logger
	handshake func(from net.Addr, err error)
}

// Write is called by net/http, with one line.
func (h httpLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	const failed = "http: TLS handshake error from "
	if rest, handshake := strings.CutPrefix(text, failed); handshake {
		from, cause, _ := strings.Cut(rest, ": ")
		if cause != "EOF" && !strings.HasSuffix(cause, "connection reset by peer") { // a probe
			h.handshake(named(from), errors.New(cause))
		}
		return len(line), nil
	}
	h.log.Log(context.Background(), Severity(codes.Internal), "http", "error", Brief(text, longestStack))
	return len(line), nil
}

// named is an address as somebody has written it.
type named string

func (named) Network() string  { return "tcp" }
func (n named) String() string { return string(n) }
