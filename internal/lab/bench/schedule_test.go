package bench

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A server that has stood still for a second has made all callers wait who were due then. Each latency counts from when
// its order was due, and who was due and never called is not forgotten.
func TestWhoWasDueHasWaitedSinceThen(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	const behind, served = 100, 5
	s := scheduleOf(time.Now().Add(-time.Second), behind)
	var called, unsent []time.Time
	once := func(_ context.Context, begin time.Time) {
		if called = append(called, begin); len(called) == served {
			stop()
		}
	}
	var mu sync.Mutex
	openLoop(ctx, t.Context(), []work{once}, s, func(due time.Time) {
		mu.Lock()
		defer mu.Unlock()
		unsent = append(unsent, due)
	})
	if len(called) != served || len(unsent) < behind-served {
		t.Fatalf("%d were called and %d not, want %d and at least %d", len(called), len(unsent), served, behind-served)
	}
	all := slices.SortedFunc(slices.Values(append(called, unsent...)), time.Time.Compare)
	for n, at := range all {
		if !at.Equal(s.due(int64(n))) {
			t.Fatalf("order %d is due %v after the beginning, want %v", n, at.Sub(s.began),
				s.due(int64(n)).Sub(s.began))
		}
	}
}

func TestASchedule(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s := scheduleOf(began, 1000)
	for after, want := range map[time.Duration]int64{
		-time.Nanosecond: 0, 0: 1, 999 * time.Microsecond: 1, time.Millisecond: 2, time.Second: 1001,
	} {
		if got := s.until(began.Add(after)); got != want {
			t.Errorf("after %v: got %d orders due, want %d", after, got, want)
		}
	}
	if got := s.due(1000).Sub(began); got != time.Second {
		t.Errorf("order 1000 is due after %v, want a second", got)
	}
}

// An order that was begun is seen through, and none is begun after the end.
func TestAClosedLoopEndsWithItsOrders(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var begun, done atomic.Int64
	once := func(after context.Context, _ time.Time) {
		if begun.Add(1) == 10 {
			stop()
		}
		if after.Err() == nil {
			done.Add(1)
		}
	}
	closedLoop(ctx, t.Context(), []work{once, once, once})
	if begun.Load() < 10 || done.Load() != begun.Load() {
		t.Errorf("%d were begun and %d done, want at least ten, and all", begun.Load(), done.Load())
	}
}

// What is a rate's is what ended within the window. Where there is a schedule, a latency is that of an order which was
// due within it, however late it was answered.
func TestARecorderHasAWindow(t *testing.T) {
	t.Parallel()
	began := time.Now()
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	for _, scheduled := range []bool{false, true} {
		r := newRecorder(scheduled)
		r.acknowledged(at(0), at(1)) // it warms up
		r.begin(at(10))
		r.acknowledged(at(8), at(11))
		r.acknowledged(at(12), at(13))
		r.settled(at(12), at(15))
		r.end(at(20))
		r.settled(at(18), at(24))
		r.settled(at(21), at(22))
		wantCreates, wantSettled, longest := int64(2), int64(1), 3*time.Second
		if scheduled {
			r.missed(at(13))
			r.missed(at(20))
			wantCreates, wantSettled, longest = 2, 3, 7*time.Second
		}
		if r.createN.Load() != 2 || r.sagasN.Load() != 1 {
			t.Errorf("scheduled %v: got %d creates and %d sagas, want 2 and 1", scheduled, r.createN.Load(),
				r.sagasN.Load())
		}
		if creates, settled := r.create.n.Load(), r.settle.n.Load(); creates != wantCreates || settled != wantSettled {
			t.Errorf("scheduled %v: got %d and %d latencies, want %d and %d", scheduled, creates, settled, wantCreates,
				wantSettled)
		}
		if got := r.settle.quantile(1); got != longest {
			t.Errorf("scheduled %v: the longest is %v, want %v", scheduled, got, longest)
		}
	}
}
