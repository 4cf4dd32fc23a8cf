package chaos

import (
	"slices"
	"sync"
	"time"
)

// tally is what a run has seen so far.
type tally struct {
	mu             sync.Mutex
	episodesPlayed int
	found          []Violation
	injections     map[string]int
	recoveries     map[string][]recovery // by fault; "" holds all
	statuses       map[string]int64      // orders by status
	paid           map[string]int64      // payments by status
	lost           int
}

func newTally() *tally {
	return &tally{injections: map[string]int{}, recoveries: map[string][]recovery{}}
}

// recovery is what came after an episode.
type recovery struct {
	first time.Duration
	all   []time.Duration
}

func (t *tally) injected(fault string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.injections[fault]++
}

// violated notes violations, each once however often it is seen.
func (t *tally) violated(all ...Violation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range all {
		if !slices.Contains(t.found, v) {
			t.found = append(t.found, v)
		}
	}
}

func (t *tally) violations() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.found)
}

// recovered notes what came after an episode, for each of its faults.
func (t *tally) recovered(e Episode, after recovery) {
	t.episodesPlayed++
	for _, in := range e {
		t.recoveries[in.Fault] = append(t.recoveries[in.Fault], after)
	}
	t.recoveries[""] = append(t.recoveries[""], after)
}

// injured works out the figures of each fault, in the order of the list.
func (t *tally) injured(faults []fault) (all []Injured) {
	for _, f := range faults {
		if t.injections[f.name] == 0 {
			continue
		}
		in := Injured{Fault: f.name, Times: t.injections[f.name]}
		in.First, in.Recovery = spreads(t.recoveries[f.name])
		all = append(all, in)
	}
	return all
}

func spreads(after []recovery) (first, all Spread) {
	var firsts, alls []time.Duration
	for _, a := range after {
		alls = append(alls, a.all...)
		if len(a.all) > 0 {
			firsts = append(firsts, a.first)
		}
	}
	return spreadOf(firsts), spreadOf(alls)
}
