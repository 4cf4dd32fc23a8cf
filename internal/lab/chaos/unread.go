package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"hosho/internal/lab/hostile"
	"hosho/internal/lab/stack"
	"hosho/internal/rules"
	"hosho/internal/wait"
)

// unreadStreams has hostile clients ask as much as they can, and take nothing of what they are answered.
func unreadStreams(ctx context.Context, s *system, _ *rand.Rand) error {
	forever := context.WithoutCancel(ctx)
	from, err := s.now(forever)
	if err != nil {
		return err
	}
	var memory [2]int64
	var all sync.WaitGroup
	all.Go(func() { memory[0] = largest(ctx, s.Paymentd) })
	all.Go(func() { memory[1] = largest(ctx, s.Orderd) })
	asRelay, asShop := s.disguised(ctx, "relay", "paymentd"), s.disguised(ctx, "shop", "orderd")
	all.Go(func() { _ = hostile.Unread(asRelay, s.Paymentd.Address) }) // whether they get in at all is their affair
	all.Go(func() { _ = hostile.UnreadWatches(asShop, s.Orderd.Address) })
	all.Wait()
	if !s.alone {
		return nil
	}
	s.tell("  unread-streams: paymentd takes %d MB at most, orderd %d MB", memory[0]>>20, memory[1]>>20)
	for i, name := range []string{"paymentd", "orderd"} {
		if memory[i] > mostMemory {
			s.blame(Violation{rules.Steady, fmt.Sprintf("%s takes %d MB for streams that are never read, want %d",
				name, memory[i]>>20, mostMemory>>20)})
		}
	}
	to, err := s.now(forever)
	wait.For(forever, ordinaryWait) // the last of the ordinary ones has its time
	return errors.Join(err, s.judgeOrdinary(forever, stretch{from, to}))
}

// disguised has hostile clients come with somebody's certificate, where there are any.
func (s *system) disguised(ctx context.Context, who, daemon string) context.Context {
	keeper := s.Keeper(who)
	if keeper == nil {
		return ctx
	}
	return hostile.As(ctx, keeper.Client(keeper.Beside(daemon)))
}

const memoryPause = 200 * time.Millisecond

// largest returns how much memory a daemon took at most until ctx ended, in bytes.
func largest(ctx context.Context, p *stack.Process) (most int64) {
	for wait.For(ctx, memoryPause) {
		if taken, err := metric(ctx, p, "process_resident_memory_bytes"); err == nil {
			most = max(most, int64(taken))
		}
	}
	return most
}
