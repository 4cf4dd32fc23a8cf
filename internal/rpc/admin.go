package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxAdmins is how many may ask for metrics at a time, over kept connections too.
const maxAdmins = 100

// ServeAdmin serves /livez, /readyz, /metrics where there is a registry, and on loopback /debug/pprof/, until ctx ends;
// nothing, when there is no listener. It is for operators and has no authentication: nothing there tells of an order.
func ServeAdmin(
	ctx context.Context, listener net.Listener, registry *prometheus.Registry, ready func() error,
) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", answer(func() error { return nil }))
	mux.HandleFunc("/readyz", answer(ready))
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

// answer says "ok", or that something is not as it should be. What that is, is in the log, for those who may read it.
func answer(fault func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if fault() != nil {
			http.Error(w, "not ready: the log says why", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n")) // who does not wait for it has gone
	}
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
