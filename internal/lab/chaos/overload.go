package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"hosho/internal/lab/load"
	"hosho/internal/rules"
)

const (
	overloads     = 3   // times in one fault
	overloadBy    = 4   // times what orderd can do
	peakShare     = 0.9 // of it that is done under overload, in the middle one of the overloads
	steadyShare   = 0.5 // of the worst second at the peak that is done in the worst one under overload
	refusedWithin = 50 * time.Millisecond
	othersWithin  = 500 * time.Millisecond // reads and cancellations meanwhile, 99 of 100
	mostMemory    = 200 << 20              // bytes
)

// overload asks orderd for more orders than it can accept, a few times, and measures before and after each how many it
// accepts when it has just enough to do: a disk that is slower than it was a while ago is no overload.
func overload(ctx context.Context, s *system, _ *rand.Rand) error {
	defer load.CollectRarely()()
	door, err := openDoor(s)
	if err != nil {
		return err
	}
	defer door.close()
	before, err := refusalsOf(ctx, s.Orderd)
	if err != nil {
		return err
	}
	end, _ := ctx.Deadline()
	part := time.Until(end) / (1 + 3*overloads)
	var v underLoad
	for at := door.saturate(ctx, part); ctx.Err() == nil && len(v.over) < overloads; {
		others := s.askMeanwhile(ctx, door)
		over := door.offer(ctx, 2*part, min(mostOffered, overloadBy*at.goodput()))
		v.beside.add(others())
		next := door.saturate(ctx, part)
		v.note(at, over, next)
		at = next
	}
	after, err := refusalsOf(context.WithoutCancel(ctx), s.Orderd)
	if err != nil || len(v.over) == 0 {
		return err
	}
	v.refusal = after.since(before).p99()
	v.tell(s)
	if s.alone {
		v.judge(s)
	}
	return nil
}

// underLoad is what was seen of orderd when it had just enough to do, and when it had more.
type underLoad struct {
	just, over []*offering
	shares     []float64 // of what it does at the peak that it did in each overload, with the CPU time it had
	refusal    time.Duration
	beside     meanwhile
}

// note adds an overload, and what orderd could do right before and right after it. Those who ask have the same machine,
// and take more of it the more they ask, whoever answers: so each is measured by what they leave.
func (v *underLoad) note(before, over, after *offering) {
	v.just = append(v.just, before, after)
	v.over = append(v.over, over)
	v.shares = append(v.shares, over.yield()/((before.yield()+after.yield())/2))
}

// share is the middle one of the shares.
func (v *underLoad) share() float64 { return slices.Sorted(slices.Values(v.shares))[len(v.shares)/2] }

func (v *underLoad) tell(s *system) {
	peak, seen := merge(v.just), merge(v.over)
	s.tell("  overload: peak %.0f/s (worst second %d); offered %.0f/s, accepted %.0f/s (worst second %d), "+
		"refused %.0f/s, failed %d, not offered %d", peak.goodput(), peak.worstSecond(), seen.rate(seen.offered),
		seen.goodput(), seen.worstSecond(), seen.rate(seen.refused), seen.failed, seen.withheld)
	s.tell("  overload: of the peak, by the CPU time that the callers leave, %s; refusals at orderd p99 <= %s "+
		"(at the client p99 %s), reads and cancels p99 %s, memory %d MB", percents(v.shares), ms(v.refusal),
		ms(spreadOf(seen.refusals).P99), ms(v.beside.spread().P99), v.beside.memory>>20)
}

func (v *underLoad) judge(s *system) {
	peak, seen, slow := merge(v.just), merge(v.over), v.beside.spread()
	worst := float64(peak.worstSecond()) * (seen.left.Seconds() / seen.took.Seconds()) /
		(peak.left.Seconds() / peak.took.Seconds())
	for _, bound := range []struct {
		broken bool
		what   string
	}{
		{v.share() < peakShare, fmt.Sprintf("%s of the peak's orders are accepted under overload, want %.0f %% "+
			"in the middle", percents(v.shares), 100*peakShare)},
		{float64(seen.worstSecond()) < steadyShare*worst, fmt.Sprintf("%d orders are accepted in the worst second "+
			"under overload, want %.0f %% of the peak's worst, %.0f", seen.worstSecond(), 100*steadyShare, worst)},
		{seen.failed > 0, fmt.Sprintf("%d calls failed otherwise than by OVERLOADED: %v", seen.failed, seen.failure)},
		{v.refusal > refusedWithin, fmt.Sprintf("refusals take up to %s at p99, want %s", v.refusal, refusedWithin)},
		{slow.P99 > othersWithin, fmt.Sprintf("reads and cancellations take %s at p99, want %s",
			ms(slow.P99), othersWithin)},
		{v.beside.failure != nil, fmt.Sprintf("a read or a cancellation failed: %v", v.beside.failure)},
		{v.beside.memory > mostMemory, fmt.Sprintf("orderd takes %d MB, want %d", v.beside.memory>>20, mostMemory>>20)},
	} {
		if bound.broken {
			s.blame(Violation{rules.Steady, "overload: " + bound.what})
		}
	}
}

func percents(shares []float64) string {
	var all []string
	for _, share := range shares {
		all = append(all, fmt.Sprintf("%.0f %%", 100*share))
	}
	return strings.Join(all, ", ")
}
