package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
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

// maxAdmins is how many may ask for metrics at a time, over kept connections too.
const maxAdmins = 100

// serveAdmin serves /metrics, where there is a registry, and /debug/pprof/ until ctx ends; nothing, when there is no
// listener. It is for operators and has no authentication: keep it on loopback.
func serveAdmin(ctx context.Context, listener net.Listener, registry *prometheus.Registry) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	if registry != nil {
		mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		WriteTimeout: 2 * time.Minute, // a profile over a minute is not too much
	}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	admins := &crowd{Listener: listener, most: maxAdmins, refused: func() {}}
	if err := server.Serve(admins); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
