package logline

import (
	"strings"
	"testing"
)

// What stands in a row of the outbox may have been written by anybody: what is no trace context has no id.
func TestTheTraceOfALineIsThatOfTheContext(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for traceparent, want := range map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01":      id,
		"":                                       "",
		"00-" + id:                               "",
		"01-" + id + "-00f067aa0ba902b7-01":      "",
		"00-" + id + "_00f067aa0ba902b7-01":      "",
		"00-" + id + "-00f067aa0ba902b7-01-more": "",
		"00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01":   "",
		"00-" + strings.Repeat("\n", 32) + "-00f067aa0ba902b7": "",
	} {
		if got := TraceID(traceparent); got != want {
			t.Errorf("%q: got %q, want %q", traceparent, got, want)
		}
	}
}
