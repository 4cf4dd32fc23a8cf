package main

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/outbox"
)

// persons calls for a person about an order: with a line in the log, and with a figure for who watches those.
type persons struct {
	log   *slog.Logger
	calls *prometheus.CounterVec
}

func newPersons(registry prometheus.Registerer, log *slog.Logger) *persons {
	p := &persons{log: log, calls: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_relay_order_needs_a_person_total",
		Help: "Times that a person was called to an order, by the cause in the log.",
	}, []string{"cause"})}
	registry.MustRegister(p.calls)
	return p
}

// call calls for a person. The causes are few: words of this program and names of events.
func (p *persons) call(cause string, attrs ...any) {
	p.calls.WithLabelValues(cause).Inc()
	p.log.Error("order needs a person", append(attrs, "cause", cause)...)
}

// callAbout calls for a person about a command.
func (p *persons) callAbout(m outbox.Message, code, cause string, attrs ...any) {
	p.call(cause, append([]any{"order_id", m.Key, "kind", m.Kind, "code", code}, attrs...)...)
}
