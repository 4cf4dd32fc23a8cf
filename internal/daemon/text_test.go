package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// Whatever somebody sends, no text of a line is longer than a stack.
func TestNoTextOfALineIsLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, &slog.HandlerOptions{ReplaceAttr: readable})).
		Error("long", "error", errors.New(long), "text", long, "short", "ä")
	if line.Len() > 3*longestText || strings.Count(line.String(), "more bytes)") != 2 {
		t.Errorf("got a line of %d bytes, want each text cut: %.100s", line.Len(), line.String())
	}
}
