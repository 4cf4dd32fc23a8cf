package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Injection is one fault of the schedule.
type Injection struct {
	Fault string
	After time.Duration // since the episode began
	For   time.Duration // then it is healed
	Seed  uint64        // of the choices that the fault makes, such as its victims
}

func (in Injection) random() *rand.Rand { return rand.New(rand.NewPCG(in.Seed, 0)) }

// Episode is faults that overlap.
type Episode []Injection

func (e Episode) String() string {
	lines := make([]string, len(e))
	for i, in := range e {
		lines[i] = fmt.Sprintf("%s after %s for %s", in.Fault, in.After.Round(time.Millisecond),
			in.For.Round(time.Millisecond))
	}
	return strings.Join(lines, ", ")
}

func (e Episode) lasts() (d time.Duration) {
	for _, in := range e {
		d = max(d, in.After+in.For)
	}
	return d
}

const (
	mostAtOnce = 4               // faults of an episode
	spread     = 2 * time.Second // within which they begin
)

// planner makes episodes, one after the other. What it makes depends on nothing but its arguments.
type planner struct {
	random *rand.Rand
	faults []fault
	pace   Pace
	fixed  time.Duration // how long each fault lasts; 0: as chance has it
}

func newPlanner(seed uint64, faults []fault, pace Pace, length time.Duration) *planner {
	return &planner{random: rand.New(rand.NewPCG(seed, 1)), faults: faults, pace: pace, fixed: length}
}

// next makes an episode of faults that do not get in each other's way: no two of them have the same target.
func (p *planner) next() Episode {
	var e Episode
	taken := map[string]bool{}
	for range 1 + p.random.IntN(mostAtOnce) {
		f := p.draw()
		in := Injection{
			Fault: f.name, After: time.Duration(p.random.Int64N(int64(spread))), For: p.length(f),
			Seed: p.random.Uint64(),
		}
		if slices.ContainsFunc(f.targets, func(t string) bool { return taken[t] }) {
			continue // drawn all the same, so that the seed's later choices do not depend on it
		}
		for _, t := range f.targets {
			taken[t] = true
		}
		e = append(e, in)
	}
	e[0].After = 0 // nothing to wait for
	return e
}

// draw chooses a fault by its weight.
func (p *planner) draw() fault {
	total := 0
	for _, f := range p.faults {
		total += f.share()
	}
	at := p.random.IntN(total)
	for _, f := range p.faults {
		if at -= f.share(); at < 0 {
			return f
		}
	}
	panic("chaos: a fault without weight") // share is at least 1
}

func (p *planner) length(f fault) time.Duration {
	if p.fixed > 0 {
		return p.fixed
	}
	least, most := f.lasts(p.pace)
	return least + time.Duration(p.random.Int64N(int64(most-least)+1))
}

// Schedule returns the episodes of a run, if nothing needs any time to recover. The same seed gives the same schedule.
func Schedule(c Config) ([]Episode, error) {
	faults, err := choose(c)
	if err != nil || len(faults) == 0 {
		return nil, err
	}
	p := newPlanner(c.Seed, faults, c.Pace, c.Length)
	var episodes []Episode
	for at := time.Duration(0); at < c.Duration; {
		e := p.next()
		episodes = append(episodes, e)
		at += e.lasts()
	}
	return episodes, nil
}
