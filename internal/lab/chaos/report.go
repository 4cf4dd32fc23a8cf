package chaos

import (
	"slices"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/rules"
)

// Violation is something that must not be.
type Violation struct {
	Rule   rules.ID `json:"rule"`
	Detail string   `json:"detail"`
}

// Spread is how durations are distributed.
type Spread struct {
	P50, P99, Max time.Duration
	N             int
}

func spreadOf(all []time.Duration) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(all))
	return Spread{
		P50: sorted[len(sorted)/2], P99: sorted[len(sorted)*99/100], Max: sorted[len(sorted)-1], N: len(sorted),
	}
}

// Injured is how often a fault was injected, and what came after the episodes that it was part of.
type Injured struct {
	Fault    string
	Times    int
	First    Spread // from the last heal of an episode until the first order was settled
	Recovery Spread // from there until the ordinary orders that were open then were settled
}

// Report is what a run did and found.
type Report struct {
	Seed     uint64
	Elapsed  time.Duration
	Episodes int
	Orders   int64 // acknowledged
	Kills    int64 // of daemons, with SIGKILL
	Crashes  int64 // of PostgreSQL
	Deaths   map[failpoint.Point]int
	Statuses map[string]int64 // orders by status
	Payments map[string]int64 // payments by status

	Lost          int // acknowledged orders that do not exist
	Found         []Violation
	Faults        []Injured
	Recovery      Spread        // over all episodes
	Amplification float64       // charges sent for each ordinary order
	Slowest       time.Duration // until a customer's write was acknowledged, all tries together
	Alerts        []Alert       // that fired, if somebody watched
}

// Injections returns how many faults were injected.
func (r *Report) Injections() (n int) {
	for _, f := range r.Faults {
		n += f.Times
	}
	return n
}
