// Package observe holds what operators are given to watch hosho with: alert rules with their cases, a configuration of
// Prometheus, a dashboard for Grafana. They are files; compose.yaml mounts them as they are.
//
// Its promise: the rules that an experiment uses are those that operators use, with their durations divided by one
// factor and otherwise letter for letter.
package observe

import (
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

//go:embed alerts.yml
var rules string

// durations are the three forms that alerts.yml says it keeps to.
var durations = regexp.MustCompile(`(\bfor: |\[)(\d+[smhd])\b|(\d+)( # seconds\n)`)

// Rules returns the alert rules with each duration divided by factor: how long a condition must last, the windows that
// are looked at, and ages that are too old. With 1 they are as they are.
func Rules(factor float64) string {
	return durations.ReplaceAllStringFunc(rules, func(found string) string {
		part := durations.FindStringSubmatch(found)
		if part[2] != "" {
			return fmt.Sprintf("%s%dms", part[1], time.Duration(float64(length(part[2]))/factor).Milliseconds())
		}
		seconds, err := strconv.ParseFloat(part[3], 64)
		if err != nil {
			panic(err) // digits alone
		}
		return strconv.FormatFloat(seconds/factor, 'f', -1, 64) + part[4]
	})
}

// length reads a duration of Prometheus with one unit, which for days is none of Go's.
func length(text string) time.Duration {
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil {
		panic(err) // digits alone
	}
	return time.Duration(n) * unit[text[len(text)-1]]
}
