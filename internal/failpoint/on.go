//go:build failpoints

package failpoint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// poll is how often the file is looked at.
const poll = 10 * time.Millisecond

// stopsWithin is how long a process takes at most to stand still after a SIGSTOP. Any of its threads may take the
// signal, and the one that sent it must not get past the point meanwhile.
const stopsWithin = 100 * time.Millisecond

// rule is what happens at a point.
type rule struct {
	act         func()
	drops       bool // instead
	probability float64
}

var (
	armed atomic.Pointer[map[Point][]rule]
	watch = sync.OnceFunc(func() {
		if name := os.Getenv(Variable); name != "" {
			read(name) // what is asked for from the start holds from the start
			go follow(name)
		}
	})
)

// Here does what the file asks for at a point.
func Here(p Point) {
	watch()
	rules := armed.Load()
	if rules == nil {
		return
	}
	for _, r := range (*rules)[p] {
		if !r.drops && rand.Float64() < r.probability {
			r.act()
		}
	}
}

// Drops reports whether the file asks for what is at a point to be lost.
func Drops(p Point) bool {
	watch()
	rules := armed.Load()
	if rules == nil {
		return false
	}
	for _, r := range (*rules)[p] {
		if r.drops && rand.Float64() < r.probability {
			return true
		}
	}
	return false
}

func follow(name string) {
	for range time.Tick(poll) {
		read(name)
	}
}

// read takes the rules over. A file that is not there asks for nothing; one that cannot be read is a mistake in the
// experiment, which would prove nothing if it went on.
func read(name string) {
	text, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		panic(err)
	}
	rules, err := parse(string(text))
	if err != nil {
		panic(fmt.Errorf("%s: %w", name, err))
	}
	armed.Store(&rules)
}

func parse(text string) (map[Point][]rule, error) {
	rules := map[Point][]rule{}
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		point, rest, found := strings.Cut(part, "=")
		if !found || !known(Point(point)) {
			return nil, fmt.Errorf("rule %q: want one of the points, and an action, such as cancel.between=kill", part)
		}
		r, err := parseRule(rest)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", part, err)
		}
		rules[Point(point)] = append(rules[Point(point)], r)
	}
	return rules, nil
}

func parseRule(text string) (r rule, err error) {
	action, probability, given := strings.Cut(text, "@")
	r.probability = 1
	if given {
		if r.probability, err = strconv.ParseFloat(probability, 64); err != nil {
			return r, err
		}
	}
	switch argument, held := strings.CutPrefix(action, "hold("); {
	case action == "kill":
		r.act = func() {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // to oneself: it cannot fail
			select {}
		}
	case action == "stop":
		r.act = func() {
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // to oneself: it cannot fail
			time.Sleep(stopsWithin)
		}
	case action == "drop":
		r.drops = true
	case action == "panic":
		r.act = func() { panic("failpoint") }
	case held:
		d, err := time.ParseDuration(strings.TrimSuffix(argument, ")"))
		if err != nil {
			return r, err
		}
		r.act = func() { time.Sleep(d) }
	default:
		return r, fmt.Errorf("got the action %q, want kill, stop, drop, panic or hold(DURATION)", action)
	}
	return r, nil
}

func known(p Point) bool {
	for _, all := range []map[string][]Point{Points, OverBroker} {
		for _, points := range all {
			if slices.Contains(points, p) {
				return true
			}
		}
	}
	return false
}
