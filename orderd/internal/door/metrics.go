package door

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	errorv1 "hosho/gen/error/v1"
	"hosho/internal/admission"
	"hosho/internal/rpc"
)

// metrics count what is refused before it is a call. Calls are counted by the server.
type metrics struct{ refused *prometheus.CounterVec }

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_http_refused_total",
		Help: "Requests over HTTP that became no call: host, one for another host; cross_site, of a page of another " +
			"site; malformed, of which no call can be made; no_seat, while too many follow orders or list them.",
	}, []string{"why"})}
	for _, why := range []string{whyHost, whyCrossSite, whyMalformed, whyNoSeat} {
		m.refused.WithLabelValues(why)
	}
	if registry != nil {
		registry.MustRegister(m.refused)
	}
	return m
}

const (
	whyHost      = "host"
	whyCrossSite = "cross_site"
	whyMalformed = "malformed"
	whyNoSeat    = "no_seat"
)

var malformedName = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_MALFORMED_REQUEST)

// refuse counts an error of the door. The server knows no MALFORMED_REQUEST.
func (m *metrics) refuse(err error) {
	var host *foreignHost
	var full *admission.Overloaded
	told, _ := answer(err)
	switch {
	case errors.As(err, &host):
		m.refused.WithLabelValues(whyHost).Inc()
	case errors.Is(err, errCrossSite):
		m.refused.WithLabelValues(whyCrossSite).Inc()
	case errors.As(err, &full):
		m.refused.WithLabelValues(whyNoSeat).Inc()
	case rpc.Reason(told.Err()) == malformedName:
		m.refused.WithLabelValues(whyMalformed).Inc()
	}
}
