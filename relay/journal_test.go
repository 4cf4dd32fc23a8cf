package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
)

// line is a line of a log, by attribute.
type line map[string]string

// journal is a log that tests can read.
type journal struct {
	also  *journal // gets every line, too
	level slog.Level

	mu  sync.Mutex
	all []line
}

// everything is a journal of all that is told, deliveries that were decided at once included.
func everything() *journal { return &journal{level: slog.LevelDebug} }

func (j *journal) Enabled(_ context.Context, l slog.Level) bool { return l >= j.level }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler           { return j }
func (j *journal) WithGroup(string) slog.Handler                { return j }

func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	l := line{"msg": r.Message, "level": r.Level.String()}
	r.Attrs(func(a slog.Attr) bool {
		l[a.Key] = a.Value.String()
		return true
	})
	j.mu.Lock()
	j.all = append(j.all, l)
	j.mu.Unlock()
	if j.also != nil {
		return j.also.Handle(ctx, r)
	}
	return nil
}

// lines returns the lines with a message.
func (j *journal) lines(msg string) []line {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.all), func(l line) bool { return l["msg"] != msg })
}

func (j *journal) dump(t testing.TB) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.all[max(0, len(j.all)-dumped):] {
		t.Log(l)
	}
}
