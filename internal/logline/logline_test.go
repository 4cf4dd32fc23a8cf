package logline_test

import (
	"bytes"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"hosho/internal/logline"
)

// What it writes is what slog writes, at every level, and nothing below that of the log, whosever handler it is.
func TestALineIsThatOfSlog(t *testing.T) {
	t.Parallel()
	own := func(to io.Writer, options *slog.HandlerOptions) slog.Handler {
		return logline.NewHandler(to, 1<<10, options)
	}
	slogs := func(to io.Writer, options *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(to, options) }
	for _, handler := range []func(io.Writer, *slog.HandlerOptions) slog.Handler{own, slogs} {
		var got, want bytes.Buffer
		to := func(b *bytes.Buffer) *slog.Logger {
			return slog.New(handler(b, &slog.HandlerOptions{Level: slog.LevelInfo})).With("daemon", "orderd")
		}
		for _, attrs := range [][]slog.Attr{
			{slog.String("order_id", "1"), slog.Int("claims", 2)},
			{slog.String("order_id", "1"), slog.Float64("share", 0.5)}, // which slog writes
		} {
			for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
				logline.Write(t.Context(), to(&got), level, "order", attrs...)
				to(&want).LogAttrs(t.Context(), level, "order", attrs...)
			}
		}
		if untimed(t, got) != untimed(t, want) || got.Len() == 0 {
			t.Errorf("got\n%swant\n%s", &got, &want)
		}
	}
}

// untimed returns lines without their times, which are there.
func untimed(t *testing.T, log bytes.Buffer) string {
	t.Helper()
	time := regexp.MustCompile(`(?m)^{"time":"[-0-9T:.]+(Z|[-+][0-9:]+)",`)
	lines := log.String()
	if n := len(time.FindAllString(lines, -1)); n != strings.Count(lines, "\n") {
		t.Errorf("got %d times, want one a line:\n%s", n, lines)
	}
	return time.ReplaceAllString(lines, "{")
}
