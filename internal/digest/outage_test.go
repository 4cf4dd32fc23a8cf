package digest

import (
	"testing"
	"time"
)

// A fault is met five times a second for three minutes.
func TestAnOutageIsToldAtItsBeginningOnceAMinuteAndAtItsEnd(t *testing.T) {
	t.Parallel()
	const times = 5 * 60 * 3
	var o Outage
	now := time.Unix(1_000_000, 0)
	lines, told := 0, 0
	if _, _, tell := o.Over(now); tell {
		t.Error("got an outage that is over before it began")
	}
	for range times {
		if n := o.Met(1, now); n > 0 {
			lines, told = lines+1, told+n
		}
		now = now.Add(time.Second / 5)
	}
	lasted, rest, tell := o.Over(now)
	if lines != 3 || !tell || lasted != 3*time.Minute || told+rest != times {
		t.Errorf("got %d lines, %d and %d told, %v lasted, told %v; want 3 lines, %d in all, 3m, and the end told",
			lines, told, rest, lasted, tell, times)
	}
	if _, _, tell := o.Over(now); tell {
		t.Error("got the end told twice")
	}
}

// A database that answers whether it is ready, and then nothing else, looks well every second.
func TestWhatComesAndGoesIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	var o Outage
	now := time.Unix(1_000_000, 0)
	begun, ended := 0, 0
	for range 180 {
		if o.Met(1, now) > 0 {
			begun++
		}
		now = now.Add(time.Second / 2)
		if _, _, tell := o.Over(now); tell {
			ended++
		}
		now = now.Add(time.Second / 2)
	}
	if begun != 3 || ended != 3 {
		t.Errorf("got %d beginnings and %d ends told in three minutes, want 3", begun, ended)
	}
}
