package logline_test

import (
	"bytes"
	"log/slog"
	"testing"

	"hosho/internal/logline"
)

// What it writes is what slog writes, at every level, and nothing below that of the log.
func TestALineIsThatOfSlog(t *testing.T) {
	t.Parallel()
	var own, slogs bytes.Buffer
	to := func(b *bytes.Buffer) *slog.Logger {
		return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{
			Level: slog.LevelInfo,
			ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey && len(groups) == 0 {
					a.Value = slog.BoolValue(a.Value.Time().IsZero())
				}
				return a
			},
		})).With("daemon", "orderd")
	}
	attrs := []slog.Attr{slog.String("order_id", "1"), slog.Int("claims", 2)}
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		logline.Write(t.Context(), to(&own), level, "order", attrs...)
		to(&slogs).LogAttrs(t.Context(), level, "order", attrs...)
	}
	if own.String() != slogs.String() || own.Len() == 0 {
		t.Errorf("got\n%swant\n%s", &own, &slogs)
	}
}
