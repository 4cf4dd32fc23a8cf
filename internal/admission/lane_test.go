package admission

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// enter fails the test unless a slot is had.
func enter(t *testing.T, l *Lane) (leave func()) {
	t.Helper()
	leave, err := l.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

func isOverloaded(t *testing.T, err error) bool {
	t.Helper()
	var refused *Overloaded
	if !errors.As(err, &refused) {
		return false
	}
	if refused.Lane != "create" || refused.RetryAfter < time.Second/2 || refused.RetryAfter > 3*time.Second/2 {
		t.Errorf("got %+v, want lane create and about a second", refused)
	}
	return true
}

// A lane of one slot, and three who wait for it. Nobody overtakes.
func TestCallsAreLetInAsTheyCame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLane("create", 1)
		leave := enter(t, l)
		var order []int
		for i := range 3 {
			go func() {
				leave := enter(t, l)
				order = append(order, i)
				leave()
			}()
			synctest.Wait()
		}
		if len(order) != 0 {
			t.Errorf("got %v at work beside the one, want nobody", order)
		}
		leave()
		synctest.Wait()
		if diff := cmp.Diff([]int{0, 1, 2}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// Two callers give up, one in the queue and one before it. The slot is not lost with either.
func TestWhoGivesUpLosesNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLane("create", 1)
		leave := enter(t, l)
		gone, cancel := context.WithCancel(t.Context())
		waits := make(chan error)
		go func() {
			_, err := l.Enter(gone)
			waits <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-waits; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if _, err := l.Enter(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		leave()
		enter(t, l)()
	})
}

// The slot comes free in the moment in which its waiter gives up. Whichever he notices, the next one gets it.
func TestASlotThatComesTooLateIsPassedOn(t *testing.T) {
	t.Parallel()
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			l := NewLane("create", 1)
			leave := enter(t, l)
			go func() {
				if leave, err := l.Enter(t.Context()); err == nil {
					leave()
				}
			}()
			time.AfterFunc(longestWait, leave)
			<-time.After(longestWait)
			synctest.Wait()
			enter(t, l)()
		})
	}
}

// The database freezes. Whoever is in the queue is told after 200 ms, whoever comes at once, however quick calls were
// before.
func TestAFrozenLaneRefusesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLane("create", 8)
		for range 1000 {
			leave := enter(t, l)
			<-time.After(time.Millisecond)
			leave()
		}
		for range 8 {
			enter(t, l)
		}
		var waited, slow atomic.Int64
		began := time.Now()
		for time.Since(began) < 5*time.Second {
			go func() {
				came := time.Now()
				_, err := l.Enter(t.Context())
				took := time.Since(came)
				if !isOverloaded(t, err) || took > longestWait {
					t.Errorf("got %v after %v, want a refusal within %v", err, took, longestWait)
				}
				if took > 0 {
					waited.Add(1)
				}
				if took > 0 && came.Sub(began) > 2*time.Second {
					slow.Add(1)
				}
			}()
			<-time.After(time.Millisecond)
		}
		synctest.Wait()
		if waited.Load() > 100 || slow.Load() > 0 {
			t.Errorf("got %d of 5,000 who waited, %d of them after two seconds; want 100 at most, and none",
				waited.Load(), slow.Load())
		}
	})
}

const seconds = 3

// offered is what a server is asked for.
type offered struct {
	lane    *Lane
	takes   func() time.Duration // a call's time at work
	every   time.Duration        // between two calls, on average
	clients int

	mu      sync.Mutex
	done    [seconds]int // by the second in which they ended
	slowest time.Duration
	refused int // at once
	late    int // refused when they had waited
}

func (o *offered) call(t *testing.T, began time.Time) {
	arrived := time.Now()
	leave, err := o.lane.Enter(By(t.Context(), rand.IntN(o.clients)))
	took := time.Since(arrived)
	if err == nil {
		<-time.After(o.takes())
		leave()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
		o.slowest = max(o.slowest, took)
		if second := int(time.Since(began) / time.Second); second < len(o.done) {
			o.done[second]++
		}
	case !isOverloaded(t, err):
		t.Errorf("got %v, want an Overloaded", err)
	case took > 0:
		o.late++
	default:
		o.refused++
	}
}

// Four times what a lane can do is asked of it for some seconds. Each second it does nine tenths of what it can, nobody
// waits for long, and who is refused is told at once.
func TestFourTimesTheCapacityLeavesTheGoodputSteady(t *testing.T) {
	t.Parallel()
	steady := func(d time.Duration) func() time.Duration { return func() time.Duration { return d } }
	varies := func(d time.Duration) func() time.Duration {
		return func() time.Duration { return time.Duration(rand.ExpFloat64() * float64(d)) }
	}
	for name, test := range map[string]struct {
		slots, clients int
		mean           time.Duration
		takes          func(time.Duration) func() time.Duration
	}{
		"quick":          {8, 1, 5 * time.Millisecond, steady},
		"quick, varying": {8, 64, 5 * time.Millisecond, varies},
		"one slot":       {1, 2, 20 * time.Millisecond, steady},
		"slow":           {4, 64, 150 * time.Millisecond, steady},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				capacity := float64(test.slots) / test.mean.Seconds()
				o := &offered{
					lane: NewLane("create", test.slots), takes: test.takes(test.mean), clients: test.clients,
					every: time.Duration(float64(time.Second) / capacity / 4),
				}
				began := time.Now()
				for time.Since(began) < seconds*time.Second {
					go o.call(t, began)
					<-time.After(time.Duration(rand.ExpFloat64() * float64(o.every)))
				}
				<-time.After(longestWait + 10*test.mean)
				synctest.Wait()
				for second, done := range o.done {
					if float64(done) < 0.9*capacity-float64(test.slots) {
						t.Errorf("second %d: got %d done, want nine tenths of %.0f", second, done, capacity)
					}
				}
				if o.slowest > longestWait || o.refused < int(2*capacity)*seconds || o.late > o.refused/25+4 {
					t.Errorf("got a wait of %v; %d refused at once, %d late", o.slowest, o.refused, o.late)
				}
				t.Logf("done %v, refused at once %d, late %d, slowest %v", o.done, o.refused, o.late, o.slowest)
			})
		})
	}
}

// One client asks for ten times what a lane can do. Another one asks now and then: it is served each time, and soon.
func TestNoClientKeepsAnotherOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const takes = 20 * time.Millisecond
		l := NewLane("create", 4)
		call := func(client string) (time.Duration, error) {
			began := time.Now()
			leave, err := l.Enter(By(t.Context(), client))
			waited := time.Since(began)
			if err == nil {
				<-time.After(takes)
				leave()
			}
			return waited, err
		}
		refused := 0
		for n := range 4000 {
			go func() {
				if _, err := call("greedy"); err != nil {
					refused++
				}
			}()
			if n%50 == 49 {
				go func() {
					if waited, err := call("modest"); err != nil || waited > takes {
						t.Errorf("got %v after %v, want a slot within two turns", err, waited)
					}
				}()
			}
			<-time.After(time.Millisecond / 2)
			synctest.Wait()
		}
		if refused < 3000 {
			t.Errorf("got %d refusals of the greedy one, want most of 4,000", refused)
		}
		<-time.After(time.Second)
	})
}

// Half of what a lane can do comes in bursts, and it is asked for no more. Nobody is refused.
func TestABurstIsNoOverload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLane("create", 8)
		for range 100 {
			for range 32 {
				go func() {
					leave := enter(t, l)
					<-time.After(5 * time.Millisecond)
					leave()
				}()
			}
			<-time.After(40 * time.Millisecond)
			synctest.Wait()
			if err := l.Full(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Full says what Enter would, and takes nothing.
func TestAFullLaneSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLane("create", 1)
		l.mean = time.Minute
		for range 3 {
			if err := l.Full(); err != nil {
				t.Errorf("got %v of a lane that nobody is in", err)
			}
		}
		leave := enter(t, l)
		if err := l.Full(); !isOverloaded(t, err) {
			t.Errorf("got %v, want an Overloaded", err)
		}
		if _, err := l.Enter(t.Context()); !isOverloaded(t, err) {
			t.Errorf("got %v, want an Overloaded", err)
		}
		leave()
		if err := l.Full(); err != nil {
			t.Errorf("got %v of a lane that nobody is in", err)
		}
	})
}

func TestTheNilLaneAdmitsEverybody(t *testing.T) {
	t.Parallel()
	var l *Lane
	if err := l.Full(); err != nil {
		t.Error(err)
	}
	for range 1000 {
		enter(t, l)
	}
}

// A lane that gets more slots lets in who waits; one that gets fewer lets nobody in until so many have left.
func TestALaneIsResized(t *testing.T) {
	t.Parallel()
	l := NewLane("test", 1)
	first, err := l.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan func(), 1)
	go func() {
		leave, err := l.Enter(t.Context())
		if err != nil {
			t.Error(err)
		}
		second <- leave
	}()
	for waiting := 0; waiting == 0; runtime.Gosched() {
		l.mu.Lock()
		waiting = l.queue.waiting
		l.mu.Unlock()
	}
	l.Resize(2)
	leave := <-second
	l.Resize(1)
	first()
	if l.busy != 1 {
		t.Errorf("got %d at work, want 1", l.busy)
	}
	leave()
	if l.busy != 0 || l.slots != 1 {
		t.Errorf("got %d at work of %d, want none of 1", l.busy, l.slots)
	}
}
