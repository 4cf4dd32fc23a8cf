package rpc

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
)

// metrics tells of the calls, and of those in particular that were not answered because of the service's state.
type metrics struct {
	calls   *handled
	refused *prometheus.CounterVec
	refusal prometheus.Histogram

	connections prometheus.Counter // those that were closed, being too many
	handshakes  prometheus.Counter // those that had no certificate, or none that is good
}

// newMetrics makes the metrics, which nobody sees where there is no registry.
func newMetrics(registry *prometheus.Registry) metrics {
	m := metrics{
		calls: newHandled(registry),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hosho_rpc_refused_total",
			Help: "Calls that were answered UNAVAILABLE or RESOURCE_EXHAUSTED, by the reason that they were given.",
		}, []string{"reason"}),
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
	for _, reason := range refusals {
		m.refused.WithLabelValues(ReasonName(reason))
	}
	m.refused.WithLabelValues(noReason)
	if registry != nil {
		registry.MustRegister(m.refused, m.refusal, m.connections, m.handshakes)
	}
	return m
}

// noReason is that of what gRPC refuses by itself, as a reply that is too large.
const noReason = "none"

// refusals are the reasons that come with UNAVAILABLE or RESOURCE_EXHAUSTED.
var refusals = []errorv1.ErrorReason{
	errorv1.ErrorReason_ERROR_REASON_NOT_READY,
	errorv1.ErrorReason_ERROR_REASON_STOPPING,
	errorv1.ErrorReason_ERROR_REASON_DATABASE_UNAVAILABLE,
	errorv1.ErrorReason_ERROR_REASON_COMMIT_UNKNOWN,
	errorv1.ErrorReason_ERROR_REASON_DATABASE_FULL,
	errorv1.ErrorReason_ERROR_REASON_DATABASE_MISCONFIGURED,
	errorv1.ErrorReason_ERROR_REASON_OVERLOADED,
	errorv1.ErrorReason_ERROR_REASON_REPLIES_UNREAD,
	errorv1.ErrorReason_ERROR_REASON_REPLY_LOST,
	errorv1.ErrorReason_ERROR_REASON_CARD_NETWORK_BUSY,
	errorv1.ErrorReason_ERROR_REASON_WRONG_PAYMENTS_DATABASE,
}

// shows adds what is known of a server when it is made: its services, what clients do not take, whether others than
// this machine are spoken to in plaintext, and whether it lets calls in.
func (m metrics) shows(registry *prometheus.Registry, s *grpc.Server, r *replies, plaintext bool, admit func() error) {
	m.calls.serves(s.GetServiceInfo())
	if registry == nil {
		return
	}
	insecure := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "hosho_insecure",
		Help:        "1 where something is in plaintext off loopback, as a flag allows, by what it is; else 0.",
		ConstLabels: prometheus.Labels{"what": "grpc"},
	})
	if plaintext {
		insecure.Set(1)
	}
	registry.MustRegister(insecure, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hosho_rpc_unread_bytes",
		Help: "Bytes of large replies that their clients have not taken yet.",
	}, r.bytes), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hosho_ready",
		Help: "1 while calls are let in; 0 while the database is away, or not as it should be.",
	}, func() float64 {
		if admit() != nil {
			return 0
		}
		return 1
	}))
}

var overloadedName = ReasonName(errorv1.ErrorReason_ERROR_REASON_OVERLOADED)

// count counts a refusal.
func (m metrics) count(reason string, took time.Duration) {
	m.refused.WithLabelValues(cmp.Or(reason, noReason)).Inc()
	if reason == overloadedName {
		m.refusal.Observe(took.Seconds())
	}
}

// refuses reports whether an answer says that the service could not, now. Many callers are told so at once.
func refuses(answer error) bool {
	code := status.Code(answer)
	return code == codes.Unavailable || code == codes.ResourceExhausted
}
