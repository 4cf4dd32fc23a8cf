// Package span writes durations for people.
//
// Its promise: a duration is told in no more than two units, and is off by less than the smaller of them: 1.5ms, 17m3s,
// 26h14m, 50d3h. Programs are told durations as the contract, JSON and the log have them.
package span

import (
	"fmt"
	"math"
	"time"
)

const day = 24 * time.Hour

// Text is a duration as people say it.
func Text(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Text(-max(d, -math.MaxInt64))
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Minute:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < 2*day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}
