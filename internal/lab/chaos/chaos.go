// Package chaos breaks a private system in every way that one machine can, while customers order, and then proves that
// nothing was lost.
//
// Its promise: the faults come from a schedule that the seed alone decides; what is checked is every invariant over
// both databases, what the clients were told, and what the daemons' logs say (doc/rules.md, by the names that it has
// there); and a fault that cannot be healed is an error, never a pass. Everything runs on real processes and real
// PostgreSQL servers.
//
// A run is a sequence of episodes. In each a few faults begin and end at their own times, so that they overlap and heal
// in any order; then nothing is wrong any more, and the time is taken until the orders that were open are settled. The
// customers never pause.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hosho/internal/lab/load"
	"hosho/internal/wait"
)

// Config says what to run. Every field is needed that does not say otherwise.
type Config struct {
	Bin      string // the folder with the daemons, built with failpoint.Tag
	Dir      string // for databases and logs; kept
	Seed     uint64
	Duration time.Duration // since the first fault; no episode begins later
	Faults   []string      // by name, see Faults, or None alone; empty: all that the mix has
	Length   time.Duration // how long each fault lasts; 0: as chance has it
	Relays   int
	Clients  int
	Pace     Pace
	TLS      bool // everybody has a certificate
	// Transport is what the saga goes over, see stack.Config; empty: calls.
	Transport string
	// Ordinary has the customers order nothing that is to fail, or to be lost.
	Ordinary bool
	FailFast bool // end at the first violation

	// AlertScale is by how much the durations of the alert rules are divided, which a Prometheus evaluates beside the
	// system; the customers then order nothing that is to fail. 0: nobody watches. Bin has sagactl for it, too.
	AlertScale int

	Tell func(text string) // is told what happens, as it happens; may be nil
	Tick func(Status)      // is told how it goes, once a second; may be nil
}

// Status is how a run goes.
type Status struct {
	Elapsed    time.Duration
	Phase      string
	Orders     int64 // acknowledged
	Kills      int64
	Crashes    int64 // of PostgreSQL
	Active     []string
	Violations int
}

// None in the place of a fault has nothing fail.
const None = "none"

// warmUp is how many orders are acknowledged before the first fault, so that there is something to lose.
const warmUp = 50

// Run runs the system, its customers and the faults, heals everything, waits until every order is settled, and checks.
// Its error means that the experiment itself failed; what it found is in the report.
func Run(ctx context.Context, c Config) (Report, error) {
	faults, err := choose(c)
	if err != nil {
		return Report{}, err
	}
	s, err := start(ctx, c, faults)
	if err != nil {
		return Report{}, err
	}
	r := &run{
		Config: c, system: s, plan: newPlanner(c.Seed, faults, c.Pace, c.Length), tally: newTally(), began: time.Now(),
		phase: "clean",
	}
	s.tell, s.blame = r.say, r.violated
	report, err := r.play(ctx)
	return report, errors.Join(err, s.stop())
}

// run is one run of the experiment.
type run struct {
	Config
	*system

	*tally

	plan  *planner
	began time.Time

	going  sync.Mutex // guards what follows
	phase  string
	active []string
}

func (r *run) play(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background, customers sync.WaitGroup
	defer background.Wait()
	defer customers.Wait()
	defer cancel()
	background.Go(func() { r.ticking(ctx) })
	background.Go(func() { r.watchTransactions(ctx) })

	clients := load.New(load.Config{
		Orders: r.client, Clients: r.Clients, Seed: r.Seed, CancelWithin: r.Pace.CancelWithin,
		Ordinary: r.Ordinary || r.AlertScale > 0,
	})
	r.clients = clients
	ordering, enough := context.WithCancel(ctx)
	defer enough()
	customers.Go(func() { clients.Run(ordering, ctx) })
	if err := clients.AwaitAccepted(ctx, warmUp); err != nil {
		return Report{}, err
	}
	if err := r.watch(ctx); err != nil {
		return Report{}, err
	}
	err := r.episodes(ctx)
	enough()
	if err == nil && r.FailFast && r.violations() > 0 { // what is broken may never settle
		return r.summary(ctx)
	}
	if err == nil {
		r.enter("drain")
		customers.Wait()
		err = r.drain(ctx)
	}
	if err != nil {
		return Report{}, err
	}
	r.enter("check")
	return r.prove(ctx)
}

// episodes plays the schedule until the time is over.
func (r *run) episodes(ctx context.Context) error {
	if len(r.plan.faults) == 0 {
		wait.For(ctx, r.Duration)
		return ctx.Err()
	}
	next := time.Now().Add(checkInterval)
	for end := time.Now().Add(r.Duration); time.Now().Before(end); {
		e := r.plan.next()
		r.enter("fault")
		if err := r.episode(ctx, e); err != nil {
			return err
		}
		healed := time.Now()
		r.enter("heal")
		if err := r.recover(ctx, e, healed); err != nil {
			return err
		}
		if r.FailFast || time.Now().After(next) {
			began := time.Now()
			if err := r.check(ctx, false); err != nil {
				return err
			}
			next = time.Now().Add(max(checkInterval, checkShare*time.Since(began)))
		}
		if r.FailFast && r.violations() > 0 {
			return nil
		}
	}
	return nil
}

// episode injects the faults of an episode and heals them.
func (r *run) episode(ctx context.Context, e Episode) error {
	errs := make([]error, len(e))
	var all sync.WaitGroup
	for i, injection := range e {
		all.Go(func() {
			if !wait.For(ctx, injection.After) {
				errs[i] = ctx.Err()
				return
			}
			errs[i] = r.inject(ctx, injection)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (r *run) inject(ctx context.Context, in Injection) error {
	f := faultNamed(in.Fault)
	r.say("+ %-18s %s for %s", in.Fault, f.says, in.For.Round(time.Millisecond))
	r.setActive(in.Fault, true)
	during, heal := context.WithTimeout(ctx, in.For)
	defer heal()
	err := f.run(during, r.system, in.random())
	r.setActive(in.Fault, false)
	if err != nil {
		return fmt.Errorf("%s: %w", in.Fault, err)
	}
	r.say("- %s", in.Fault)
	r.injected(in.Fault)
	return ctx.Err()
}

func (r *run) say(format string, args ...any) {
	if r.Tell != nil {
		r.Tell(fmt.Sprintf("%8.3fs  ", time.Since(r.began).Seconds()) + fmt.Sprintf(format, args...))
	}
}

func (r *run) enter(phase string) {
	r.going.Lock()
	defer r.going.Unlock()
	r.phase = phase
}

func (r *run) setActive(fault string, on bool) {
	r.going.Lock()
	defer r.going.Unlock()
	if on {
		r.active = append(r.active, fault)
		return
	}
	if i := slices.Index(r.active, fault); i >= 0 {
		r.active = slices.Delete(r.active, i, i+1)
	}
}

func (r *run) ticking(ctx context.Context) {
	if r.Tick == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.Tick(r.status())
	}
}

func (r *run) status() Status {
	r.going.Lock()
	defer r.going.Unlock()
	return Status{
		Elapsed: time.Since(r.began), Phase: r.phase, Orders: r.accepted(), Kills: r.kills.Load(),
		Crashes: r.crashes.Load(),
		Active:  slices.Clone(r.active), Violations: r.violations(),
	}
}
