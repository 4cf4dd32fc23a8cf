package main

import (
	"context"
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
func (p *persons) call(cause string, attrs ...slog.Attr) {
	p.calls.WithLabelValues(cause).Inc()
	attrs = append(attrs, slog.String("cause", cause))
	p.log.LogAttrs(context.Background(), slog.LevelError, "order needs a person", attrs...)
}

// callAbout calls for a person about a command.
func (p *persons) callAbout(m outbox.Message, code, cause string, attrs ...slog.Attr) {
	about := []slog.Attr{slog.String("order_id", m.Key), slog.String("kind", m.Kind), slog.String("code", code)}
	p.call(cause, append(about, attrs...)...)
}
