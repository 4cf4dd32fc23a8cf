package main

import (
	"context"
	"log/slog"

	"hosho/internal/outbox"
)

// persons calls for a person about an order: with a line in the log, and with an alarm for who watches those.
type persons struct {
	log    *slog.Logger
	alarms alarms
}

// call calls for a person.
func (p *persons) call(c cause, attrs ...slog.Attr) {
	p.alarms.ring(c)
	attrs = append(attrs, slog.String("cause", c.text))
	p.log.LogAttrs(context.Background(), slog.LevelError, "order needs a person", attrs...)
}

// callAbout calls for a person about a command.
func (p *persons) callAbout(m outbox.Message, code string, c cause, attrs ...slog.Attr) {
	about := []slog.Attr{slog.String("order_id", m.Key), slog.String("kind", m.Kind), slog.String("code", code)}
	p.call(c, append(about, attrs...)...)
}
