package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Fault is a way to break the system, for people to choose from.
type Fault struct {
	Name    string
	Says    string // what it does
	Special string // why it is not part of the mix and must be asked for; empty when it is
}

// Faults lists every fault.
func Faults() []Fault {
	var all []Fault
	for _, f := range faults {
		switch {
		case f.special != "":
		case f.certificates:
			f.special = "in it with --tls, where there are certificates"
		case f.overBroker():
			f.special = "in it with --transport, where there is a broker"
		}
		all = append(all, Fault{f.name, f.says, f.special})
	}
	return all
}

// fault is a way to break the system.
type fault struct {
	name         string
	says         string
	special      string
	targets      []string // what it needs for itself
	certificates bool     // it is for systems that have them
	watched      bool     // it is for systems that somebody watches for alerts
	weight       int      // how often it comes up in the mix; 0 counts as 1
	lasts        func(Pace) (least, most time.Duration)

	// run injects the fault, waits until ctx ends, and heals it. It may repeat itself until then. An error says that it
	// could not be injected or healed.
	run func(ctx context.Context, s *system, random *rand.Rand) error
}

func (f fault) share() int { return max(1, f.weight) }

// The targets: faults that share one never happen at the same time.
const (
	orderd     = "orderd"
	paymentd   = "paymentd"
	relays     = "relays"
	ordersDB   = "orders database"
	paymentsDB = "payments database"
	net        = "the links between relays and paymentd"
	dbNet      = "the links to the databases"
	peer       = "what paymentd answers"
	cards      = "the card network"
	crowd      = "clients without number"
	comparing  = "the comparison of the databases"
	theBroker  = "the broker"
	theEvents  = "the events on it"
	theGroups  = "who takes them"
)

// faults are all of them. The weights see to it that processes and databases die often: everything else only makes
// the moments at which they do more interesting.
var faults = slices.Concat(processFaults, databaseFaults, standbyFaults, linkFaults, peerFaults, peopleFaults,
	customerFaults, requestFaults, certificateFaults, watchedFaults, brokerFaults)

// faultNamed returns the fault with a name that is known to exist.
func faultNamed(name string) fault {
	return faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == name })]
}

// choose returns the faults with the names, or the mix when there are none.
func choose(c Config) ([]fault, error) {
	if slices.Equal(c.Faults, []string{None}) {
		return nil, nil
	}
	var chosen []fault
	for _, f := range faults {
		if f.watched && c.AlertScale == 0 && slices.Contains(c.Faults, f.name) {
			return nil, fmt.Errorf("fault %q: nobody compares the databases: --alerts has somebody do so", f.name)
		}
		fits := f.fits(c)
		if len(c.Faults) == 0 && f.special == "" && fits || slices.Contains(c.Faults, f.name) {
			chosen = append(chosen, f)
		}
		if !fits && slices.Contains(c.Faults, f.name) {
			return nil, fmt.Errorf("fault %q: %s", f.name, f.unfit(c))
		}
	}
	for _, name := range c.Faults {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.name == name }) {
			return nil, fmt.Errorf("fault %q: there is no such fault; there are %s; and %s alone", name,
				strings.Join(allNames(), ", "), None)
		}
	}
	return chosen, nil
}

// fits reports whether a fault can be had in a run.
func (f fault) fits(c Config) bool {
	if c.overBroker() {
		return !f.overCalls()
	}
	return !f.overBroker() && (c.TLS || !f.certificates)
}

// unfit says why a fault cannot be had in a run.
func (f fault) unfit(c Config) string {
	switch {
	case f.overBroker():
		return "there is no broker: --transport has the saga go over one"
	case c.overBroker() && f.overCalls():
		return "nobody calls paymentd where the saga goes over a broker: leave --transport out"
	}
	return "nobody has a certificate: --tls gives one to everybody"
}

func allNames() []string {
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

// between returns a length that does not depend on the pace.
func between(least, most time.Duration) func(Pace) (time.Duration, time.Duration) {
	return func(Pace) (time.Duration, time.Duration) { return least, most }
}

// leases returns a length in leases.
func leases(least, most float64) func(Pace) (time.Duration, time.Duration) {
	return func(p Pace) (time.Duration, time.Duration) {
		return time.Duration(least * float64(p.Lease)), time.Duration(most * float64(p.Lease))
	}
}

// span returns a random duration.
func span(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)+1))
}
