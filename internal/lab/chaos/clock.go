package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"hosho/internal/wait"
)

// fakeClock is what a database's server believes the time to be, by libfaketime (github.com/wolfcw/libfaketime).
type fakeClock struct{ file string }

// libraries are where distributions put libfaketime.
var libraries = []string{
	"/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1",
	"/opt/homebrew/lib/faketime/libfaketime.1.dylib", "/usr/local/lib/faketime/libfaketime.1.dylib",
}

// newFakeClock makes a clock that goes right, and returns what a server's environment needs for it.
func newFakeClock(dir string) (*fakeClock, []string, error) {
	for _, pattern := range libraries {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			continue
		}
		c := &fakeClock{filepath.Join(dir, "clock")}
		preload := "LD_PRELOAD="
		if filepath.Ext(found[0]) == ".dylib" {
			preload = "DYLD_INSERT_LIBRARIES="
		}
		// Intervals stay what they are: a clock that is set does not change how long a wait is.
		return c, []string{
			preload + found[0], "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1",
			"FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_DISABLE_SHM=1",
		}, c.set(0)
	}
	return nil, nil, errors.New("the fault clock needs libfaketime: install it (apt-get install libfaketime, " +
		"dnf install libfaketime, brew install libfaketime)")
}

// set puts the clock ahead of the machine's, or behind it.
func (c *fakeClock) set(ahead time.Duration) error {
	next := c.file + ".next" // renamed, so that nobody reads half of it
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+.3f\n", ahead.Seconds()), 0o644); err != nil {
		return err
	}
	return os.Rename(next, c.file)
}

// clockDeadline is the orders' deadline where clocks are wrong: a charge that was found expired too early waits for it.
const clockDeadline = 30 * time.Second

// offsets are how wrong a clock is: within what is tolerated, past the orders' deadline, and by a time zone.
var offsets = []time.Duration{3 * time.Second, 20 * time.Second, 2 * clockDeadline, time.Hour}

// wrongClock has the payments database's clock jump ahead and back.
func wrongClock(ctx context.Context, s *system, random *rand.Rand) error {
	s.logs.expectAlarms()
	for {
		offset := offsets[random.IntN(len(offsets))]
		if random.IntN(2) == 0 {
			offset = -offset
		}
		if err := s.clock.set(offset); err != nil {
			return err
		}
		if !wait.For(ctx, span(random, time.Second, 3*time.Second)) {
			return s.clock.set(0)
		}
	}
}
