package bench

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// work is what a caller does once: it places an order and waits for what it wants to know. Its latency counts from
// begin.
type work func(ctx context.Context, begin time.Time)

// closedLoop has every client place its next order when its last one is done, until ctx ends. An order that was begun
// is seen through in after.
func closedLoop(ctx, after context.Context, clients []work) {
	var all sync.WaitGroup
	for _, place := range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				place(after, time.Now())
			}
		})
	}
	all.Wait()
}

// schedule is when orders are due: one every interval, whether or not those before were answered.
type schedule struct {
	began    time.Time
	interval time.Duration
}

func scheduleOf(began time.Time, rate float64) schedule {
	return schedule{began, time.Duration(float64(time.Second) / rate)}
}

// due returns when the nth order is due.
func (s schedule) due(n int64) time.Time { return s.began.Add(time.Duration(n) * s.interval) }

// until returns how many orders are due at a time or before.
func (s schedule) until(t time.Time) int64 {
	if t.Before(s.began) {
		return 0
	}
	return int64(t.Sub(s.began)/s.interval) + 1
}

const (
	// shortestSleep is how often whoever keeps the schedule looks at the time at most: orders of high rates are
	// released by the handful, and up to that late.
	shortestSleep = 200 * time.Microsecond
	longestSleep  = 20 * time.Millisecond // so that an end is heard of
	mostDue       = 1 << 20               // that nobody has begun yet; what is due after them waits in the schedule
)

// openLoop places orders at a fixed rate, whatever becomes of them, until ctx ends. As many are under way as there are
// clients; what is due beyond that waits, and its latency counts from when it was due: a system that stands still for a
// second has made a second's worth of callers wait, and not only those whom it was answering (coordinated omission).
// Those whom nobody has called at the end are given to unsent.
func openLoop(ctx, after context.Context, clients []work, s schedule, unsent func(due time.Time)) {
	due := make(chan time.Time, mostDue)
	var all sync.WaitGroup
	for _, place := range clients {
		all.Go(func() {
			for begin := range due {
				if ctx.Err() == nil {
					place(after, begin)
				} else {
					unsent(begin)
				}
			}
		})
	}
	released := s.release(ctx, due)
	close(due)
	for n, ready := released, s.until(time.Now()); n < ready; n++ {
		unsent(s.due(n))
	}
	all.Wait()
}

// release sends each order when it is due, on a thread that it sleeps on by itself, and returns how many it has sent
// when ctx ends.
func (s schedule) release(ctx context.Context, due chan<- time.Time) (n int64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		for ready := s.until(time.Now()); n < ready; n++ {
			select {
			case due <- s.due(n):
			case <-ctx.Done():
				return n
			}
		}
		sleep(min(max(time.Until(s.due(n)), shortestSleep), longestSleep))
	}
	return n
}
