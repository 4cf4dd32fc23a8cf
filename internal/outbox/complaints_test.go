package outbox

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// A fault lasts, changes, and comes back.
func TestAFaultThatLastsIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	refused, missing := errors.New("permission denied"), errors.New("no such table")
	start := time.Unix(1_000_000, 0)
	var c complaints
	for _, test := range []struct {
		after time.Duration
		what  string
		err   error
		want  bool
	}{
		{0, "claim", refused, true},
		{time.Second, "claim", refused, false},
		{time.Second, "settle", refused, true},
		{2 * time.Second, "claim", missing, true},
		{3 * time.Second, "claim", refused, true},
		{62 * time.Second, "claim", fmt.Errorf("claim 500: %w", refused), false},
		{63 * time.Second, "claim", refused, true},
		{64 * time.Second, "settle", refused, true},
	} {
		if got := c.news(test.what, test.err, start.Add(test.after)); got != test.want {
			t.Errorf("after %s, cannot %s, %v: got told %v, want %v", test.after, test.what, test.err, got, test.want)
		}
	}
}
