package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// listenAdmin returns nil when the address is empty.
func listenAdmin(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	return listener, nil
}

// addressOf is where a listener listens, which port 0 does not tell; empty where there is none.
func addressOf(listener net.Listener) string {
	if listener == nil {
		return ""
	}
	return listener.Addr().String()
}

// isLoopback reports whether nobody but this machine reaches a listener. Every interface is more than loopback.
func isLoopback(listener net.Listener) bool {
	address, ok := listener.Addr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}

// warn tells at each start what a listener off loopback means, and what to do about it.
func warn(log *slog.Logger, listener, admin net.Listener) {
	const remedy = "listen on loopback, or keep it behind something that has TLS and authentication"
	if !isLoopback(listener) {
		log.Warn("gRPC is served off loopback without TLS", "address", addressOf(listener),
			"means", "whoever reaches it may call every method, and whoever is between reads along", "do", remedy)
	}
	if admin != nil && !isLoopback(admin) {
		log.Warn("metrics are served off loopback", "address", addressOf(admin),
			"means", "whoever reaches it reads them; profiles are not there", "do", remedy)
	}
}

// maxAdmins is how many may ask for metrics at a time, over kept connections too.
const maxAdmins = 100

// serveAdmin serves /metrics, where there is a registry, and on loopback /debug/pprof/, until ctx ends; nothing, when
// there is no listener. It is for operators and has no authentication.
func serveAdmin(ctx context.Context, listener net.Listener, registry *prometheus.Registry) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	if registry != nil {
		mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	}
	if isLoopback(listener) {
		mux.Handle("/debug/pprof/", oneAtATime(profiles()))
	}
	server := &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		WriteTimeout: 2 * time.Minute, // a profile over a minute is not too much
	}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	admins := &crowd{Listener: listener, most: maxAdmins, closesOldest: true, refused: func() {}}
	if err := server.Serve(admins); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// profiles is pprof without the command line, in which a password may be.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// oneAtATime refuses a request while another is under way: a profile slows the whole process down.
func oneAtATime(next http.Handler) http.Handler {
	var busy atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !busy.CompareAndSwap(false, true) {
			http.Error(w, "another profile is being taken: try again later", http.StatusServiceUnavailable)
			return
		}
		defer busy.Store(false)
		next.ServeHTTP(w, r)
	})
}
