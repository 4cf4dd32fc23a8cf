package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/lab/stack"
	"hosho/internal/wait"
)

var processFaults = []fault{
	{
		name: "kill-orderd", says: "orderd is killed again and again", targets: []string{orderd}, weight: 10,
		lasts: between(3*time.Second, 10*time.Second), run: killing((*system).orderd),
	},
	{
		name: "kill-paymentd", says: "paymentd is killed again and again", targets: []string{paymentd}, weight: 10,
		lasts: between(3*time.Second, 10*time.Second), run: killing((*system).paymentd),
	},
	{
		name: "kill-relay", says: "relays are killed again and again", targets: []string{relays}, weight: 10,
		lasts: between(3*time.Second, 10*time.Second), run: killing((*system).relays),
	},
	{
		name: "die-orderd", says: "orderd dies at its failpoints", targets: []string{orderd}, weight: 10,
		lasts: between(3*time.Second, 10*time.Second), run: dying("orderd", (*system).orderd),
	},
	{
		name: "die-paymentd", says: "paymentd dies at its failpoints", targets: []string{paymentd}, weight: 10,
		lasts: between(3*time.Second, 10*time.Second), run: dying("paymentd", (*system).paymentd),
	},
	{
		name: "die-relay", says: "relays die at their failpoints", targets: []string{relays}, weight: 10,
		lasts: between(3*time.Second, 10*time.Second), run: dying("relay", (*system).relays),
	},
	{
		name: "pause-orderd", says: "orderd stands still (SIGSTOP)", targets: []string{orderd},
		lasts: leases(0.2, 1), run: pausing((*system).orderd),
	},
	{
		name: "pause-paymentd", says: "paymentd stands still (SIGSTOP)", targets: []string{paymentd},
		lasts: leases(0.2, 1.5), run: pausing((*system).paymentd),
	},
	{
		name: "pause-relay", says: "a relay stands still past its leases (SIGSTOP)", targets: []string{relays},
		weight: 2,
		lasts:  leases(1.1, 3), run: pausing((*system).relays),
	},
	{
		name: "restart", says: "everything is restarted, one after the other (SIGTERM, sometimes twice)",
		targets: []string{orderd, paymentd, relays},
		lasts:   between(2*time.Second, 5*time.Second), run: restarting,
	},
	{
		name: "short-lease", says: "relays are restarted with leases that end before their calls",
		targets: []string{relays},
		lasts:   between(3*time.Second, 8*time.Second), run: shortLeases,
	},
	{
		name: "missed-deadline", says: "no relay runs for longer than the orders' deadline",
		targets: []string{orderd, relays},
		lasts:   between(3*time.Second, 6*time.Second), run: missDeadlines,
	},
	{
		name: "starve", says: "a daemon has a tenth of a processor, 64 MB and 64 descriptors",
		targets: []string{orderd, paymentd, relays},
		lasts:   between(3*time.Second, 6*time.Second), run: starving,
	},
	{
		name: "slow-commit", says: "one in a hundred batches of orders takes 5 s to commit",
		targets: []string{orderd},
		lasts:   between(3*time.Second, 8*time.Second),
		run:     armed((*system).orderd, failpoint.PlaceBefore, "hold(5s)@0.01"),
	},
	{
		name: "slow-settle", says: "one in twenty settlements takes 200 ms to commit", targets: []string{relays},
		lasts: between(3*time.Second, 8*time.Second),
		run:   armed((*system).relays, failpoint.SettleInside, "hold(200ms)@0.05"),
	},
	{
		name: "stop-settling", says: "a relay stands still in the transaction that settles, past its leases (SIGSTOP)",
		targets: []string{relays}, special: "pause-relay hits it by chance: for being sure of it",
		lasts: leases(1.1, 3), run: stopping((*system).relays, failpoint.SettleInside),
	},
	{
		name: "panic", says: "paymentd panics while it decides", targets: []string{paymentd},
		lasts: between(2*time.Second, 5*time.Second),
		run:   armed((*system).paymentd, failpoint.ChargeBefore, "panic@0.3"),
	},
	{
		name: "outage", says: "paymentd is down", targets: []string{paymentd},
		special: "it is long: for measuring what an outage costs",
		lasts:   between(2*time.Minute, 2*time.Minute), run: outage,
	},
}

// who returns the processes that a fault may choose its victim from.
type who func(*system) []*stack.Process

func (s *system) orderd() []*stack.Process   { return []*stack.Process{s.Orderd} }
func (s *system) paymentd() []*stack.Process { return []*stack.Process{s.Paymentd} }
func (s *system) relays() []*stack.Process   { return s.Relays }

func one[T any](from []T, random *rand.Rand) T {
	return from[random.IntN(len(from))]
}

func killing(of who) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		for {
			victim := one(of(s), random)
			s.kill(victim)
			wait.For(ctx, span(random, 0, 200*time.Millisecond))
			if err := victim.Start(); err != nil {
				return err
			}
			if !wait.For(ctx, span(random, 50*time.Millisecond, 700*time.Millisecond)) {
				return nil
			}
		}
	}
}

func pausing(of who) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		victim := one(of(s), random)
		victim.Signal(syscall.SIGSTOP)
		<-ctx.Done()
		victim.Signal(syscall.SIGCONT)
		return nil
	}
}

func restarting(ctx context.Context, s *system, random *rand.Rand) error {
	for {
		for _, p := range s.Daemons() {
			if random.IntN(3) == 0 {
				p.Signal(syscall.SIGTERM) // an impatient operator: the second one ends it at once
			}
			if err := p.Stop(); err != nil {
				return err
			}
			if err := p.Start(); err != nil {
				return err
			}
		}
		if !wait.For(ctx, span(random, 0, time.Second)) {
			return nil
		}
	}
}

// shortLeases leaves every command to be delivered by several relays at once, with another batch size than before.
func shortLeases(ctx context.Context, s *system, random *rand.Rand) error {
	s.logs.leases(s.pace.CallTimeout / 10)
	defer s.logs.leases(s.pace.Lease)
	if err := s.restartRelays("RELAY_UNSAFE_SHORT_LEASE=true", "RELAY_LEASE="+(s.pace.CallTimeout/10).String(),
		fmt.Sprintf("RELAY_BATCH=%d", 1+random.IntN(50))); err != nil {
		return err
	}
	<-ctx.Done()
	return s.restartRelays()
}

func (s *system) restartRelays(env ...string) error {
	for _, p := range s.Relays {
		if err := p.Stop(); err != nil {
			return err
		}
		if err := p.Start(env...); err != nil {
			return err
		}
	}
	return nil
}

func missDeadlines(ctx context.Context, s *system, _ *rand.Rand) error {
	for _, p := range s.Relays {
		s.kill(p)
	}
	if err := s.restartOrderd("ORDERD_ORDER_DEADLINE=" + s.pace.ShortDeadline.String()); err != nil {
		return err
	}
	<-ctx.Done()
	for _, p := range s.Relays {
		if err := p.Start(); err != nil {
			return err
		}
	}
	return s.restartOrderd()
}

func (s *system) restartOrderd(env ...string) error {
	if err := s.Orderd.Stop(); err != nil {
		return err
	}
	return s.Orderd.Start(env...)
}

// starving gives a daemon little of everything. It runs for 10 ms of every 100.
func starving(ctx context.Context, s *system, random *rand.Rand) error {
	victim := one(s.Daemons(), random)
	if err := victim.Stop(); err != nil {
		return err
	}
	if err := victim.Start("GOMEMLIMIT=64MiB"); err != nil {
		return err
	}
	if err := limitFiles(victim.Pid(), 64); err != nil {
		return err
	}
	for ctx.Err() == nil {
		victim.Signal(syscall.SIGSTOP)
		wait.For(ctx, 90*time.Millisecond)
		victim.Signal(syscall.SIGCONT)
		wait.For(ctx, 10*time.Millisecond)
	}
	if err := victim.Stop(); err != nil {
		return err
	}
	return victim.Start()
}

func outage(ctx context.Context, s *system, _ *rand.Rand) error {
	s.kill(s.Paymentd)
	<-ctx.Done()
	return s.Paymentd.Start()
}
