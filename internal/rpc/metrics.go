package rpc

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
)

// metrics counts the calls that were not answered because of the service's state.
type metrics struct {
	refused *prometheus.CounterVec
	refusal prometheus.Histogram

	connections prometheus.Counter // those that were closed, being too many
	handshakes  prometheus.Counter // those that had no certificate, or none that is good
}

// newMetrics makes the metrics, which nobody sees where there is no registry.
func newMetrics(registry *prometheus.Registry) metrics {
	m := metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_rpc_refused_total",
			Help: "Calls that were answered UNAVAILABLE or RESOURCE_EXHAUSTED, by reason.",
		}, []string{"method", "reason"}),
		refusal: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hosho_rpc_refusal_seconds",
			Help:    "From a call's arrival to its refusal as OVERLOADED.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1},
		}),
		connections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hosho_rpc_connections_refused_total",
			Help: "Connections that were closed at once, because there were too many.",
		}),
		handshakes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hosho_rpc_handshakes_failed_total",
			Help: "Connections that were refused for their certificate, or because they had none.",
		}),
	}
	if registry != nil {
		registry.MustRegister(m.refused, m.refusal, m.connections, m.handshakes)
	}
	return m
}

// shows adds what clients do not take, and whether others than this machine are spoken to in plaintext.
func (metrics) shows(registry *prometheus.Registry, r *replies, plaintext bool) {
	if registry == nil {
		return
	}
	insecure := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hosho_rpc_insecure",
		Help: "1 where gRPC is served off loopback without TLS, as --insecure allows; else 0.",
	})
	if plaintext {
		insecure.Set(1)
	}
	registry.MustRegister(insecure, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hosho_rpc_unread_bytes",
		Help: "Bytes of large replies that their clients have not taken yet.",
	}, r.bytes))
}

var overloadedName = ReasonName(errorv1.ErrorReason_ERROR_REASON_OVERLOADED)

// count counts a refusal.
func (m metrics) count(method, reason string, arrived time.Time) {
	m.refused.WithLabelValues(strings.TrimPrefix(method, "/"), reason).Inc()
	if reason == overloadedName {
		m.refusal.Observe(time.Since(arrived).Seconds())
	}
}

// refuses reports whether an answer says that the service could not, now. Many callers are told so at once.
func refuses(answer error) bool {
	code := status.Code(answer)
	return code == codes.Unavailable || code == codes.ResourceExhausted
}
