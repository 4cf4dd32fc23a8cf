// Package logline writes the lines of a log that come by the thousand, one for each order or call.
//
// Its promise: a line looks as slog's own does. slog has the run time look for the place in the source that logs, which
// is half of what such a line costs, and which no log of ours shows: here it does not.
package logline

import (
	"context"
	"log/slog"
	"time"
)

// Write writes a line, as log.LogAttrs does.
func Write(ctx context.Context, log *slog.Logger, level slog.Level, message string, attrs ...slog.Attr) {
	if !log.Enabled(ctx, level) {
		return
	}
	now := time.Now()
	if h, own := log.Handler().(*Handler); own {
		if plain, _ := h.write(now, level, message, attrs); plain { // slog drops the error as well
			return
		}
	}
	r := slog.NewRecord(now, level, message, 0)
	r.AddAttrs(attrs...)
	_ = log.Handler().Handle(ctx, r)
}
