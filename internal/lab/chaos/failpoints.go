package chaos

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"hosho/internal/failpoint"
	"hosho/internal/lab/stack"
	"hosho/internal/wait"
)

// dying arms one failpoint after the other, those first that were armed least, and starts each victim again once it is
// dead.
func dying(binary string, of who) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		points := failpoint.Points[binary]
		if s.Broker != nil {
			points = slices.Concat(points, failpoint.OverBroker[binary])
		}
		for ctx.Err() == nil {
			victim, point := one(of(s), random), s.leastArmed(points, random)
			if err := s.die(ctx, victim, point); err != nil {
				return err
			}
		}
		return nil
	}
}

// leastArmed chooses the point of which the fewest processes were to die, and notes that one more is.
func (s *system) leastArmed(points []failpoint.Point, random *rand.Rand) failpoint.Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := points[0]
	for _, i := range random.Perm(len(points)) {
		if s.armed[points[i]] < s.armed[least] {
			least = points[i]
		}
	}
	s.armed[least]++
	return least
}

// deadlyWait is how long a process is given to come by the failpoint that it is to die at.
const deadlyWait = 3 * time.Second

// lastWait is how long a process that need not die any more is waited for, so that it does not lie dead until somebody
// looks.
const lastWait = 200 * time.Millisecond

// die has a process die at a failpoint, and starts it again. A point that it does not come by is given up.
func (s *system) die(ctx context.Context, victim *stack.Process, point failpoint.Point) error {
	if err := victim.Arm(string(point) + "=kill"); err != nil {
		return err
	}
	dead := exits(ctx, victim, deadlyWait)
	if err := victim.Arm(""); err != nil {
		return err
	}
	if !dead && !exits(context.WithoutCancel(ctx), victim, lastWait) {
		s.spare(victim, point, time.Now())
		return nil
	}
	s.kills.Add(1)
	s.died(point)
	return victim.Start()
}

// exits reports whether a process ends within a time, and before ctx does.
func exits(ctx context.Context, p *stack.Process, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.Exited():
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// armed has processes do something else than die at a failpoint.
func armed(of who, point failpoint.Point, action string) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, _ *rand.Rand) error {
		for _, p := range of(s) {
			if err := p.Arm(string(point) + "=" + action); err != nil {
				return err
			}
		}
		<-ctx.Done()
		for _, p := range of(s) {
			if err := p.Arm(""); err != nil {
				return err
			}
		}
		return nil
	}
}

// stopping has a process stand still at a failpoint, when it comes by next.
func stopping(of who, point failpoint.Point) func(context.Context, *system, *rand.Rand) error {
	return func(ctx context.Context, s *system, random *rand.Rand) error {
		victim := one(of(s), random)
		if err := victim.Arm(string(point) + "=stop"); err != nil {
			return err
		}
		<-ctx.Done()
		if err := victim.Arm(""); err != nil {
			return err
		}
		// It may come by the point once more before it has heard that it need not stop.
		for began := time.Now(); time.Since(began) < lastWait; {
			victim.Signal(syscall.SIGCONT)
			wait.For(context.WithoutCancel(ctx), lastWait/10)
		}
		return nil
	}
}

// died counts a process that died at a failpoint.
func (s *system) died(at failpoint.Point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.points[at]++
}

func (s *system) deaths() map[failpoint.Point]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.points)
}

// reprieve is that a process need not die any more. It may come by its point before it hears of that.
type reprieve struct {
	at   failpoint.Point
	when time.Time
}

// hearsWithin is how long after a reprieve a process may be found to have died all the same: it looks for it a hundred
// times a second, if the machine lets it, and it is looked for after the next episode.
const hearsWithin = time.Minute

func (s *system) spare(p *stack.Process, at failpoint.Point, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spared[p] = reprieve{at, now}
}

// late reports whether a process that has ended came by its point before it heard that it need not die.
func (s *system) late(p *stack.Process, now time.Time) (at failpoint.Point, late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, spared := s.spared[p]
	delete(s.spared, p) // once
	return r.at, spared && now.Sub(r.when) <= hearsWithin
}
