package rpc

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// handled counts calls by their methods and codes, under the names that gRPC's own middleware has for it. Those of
// grpc's own services are not counted.
type handled struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	methods map[string]*method // by their full names; is not changed once calls come
}

// method is what is counted of a method. Each of its codes is there from the beginning: what comes to be with its first
// error has no rate that an alert could see.
type method struct {
	codes   [codes.Unauthenticated + 1]prometheus.Counter
	seconds prometheus.Observer // nil: it streams, for as long as it likes
}

func newHandled(registry *prometheus.Registry) *handled {
	h := &handled{
		methods: map[string]*method{},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_handled_total",
			Help: "Calls that have ended, those that were let in no further than the door included.",
		}, []string{"grpc_service", "grpc_method", "grpc_code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "grpc_server_handling_seconds",
			Help:    "From the arrival of a unary call's headers to its answer, the wait for an order included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"grpc_service", "grpc_method"}),
	}
	if registry != nil {
		registry.MustRegister(h.total, h.seconds)
	}
	return h
}

// serves has the methods of services counted, before the first call.
func (h *handled) serves(services map[string]grpc.ServiceInfo) {
	for service, info := range services {
		for _, m := range info.Methods {
			full := "/" + service + "/" + m.Name
			if builtin(full) {
				continue
			}
			one := &method{}
			for code := range one.codes {
				one.codes[code] = h.total.WithLabelValues(service, m.Name, codes.Code(code).String())
			}
			if !m.IsClientStream && !m.IsServerStream {
				one.seconds = h.seconds.WithLabelValues(service, m.Name)
			}
			h.methods[full] = one
		}
	}
}

// count counts a call. A method that nobody serves is whatever a client likes to write, and is not counted.
func (h *handled) count(full string, code codes.Code, took time.Duration) {
	m, known := h.methods[full]
	if !known {
		return
	}
	if int(code) >= len(m.codes) {
		code = codes.Unknown
	}
	m.codes[code].Inc()
	if m.seconds != nil {
		m.seconds.Observe(took.Seconds())
	}
}
