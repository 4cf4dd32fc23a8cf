package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/load"
	"hosho/internal/rpc"
	"hosho/internal/rules"
	"hosho/internal/wait"
)

const (
	overloadBy    = 4      // times what orderd can do
	mostOffered   = 10_000 // calls a second
	mostWaiting   = 4_000  // calls at a time
	fullyLoaded   = 32     // callers who find out what orderd can do, and are not refused
	peakShare     = 0.9    // of it that is done under overload
	refusedWithin = 50 * time.Millisecond
	othersWithin  = 500 * time.Millisecond // reads and cancellations meanwhile, 99 of 100
	mostMemory    = 200 << 20              // bytes

	overloadCall = 3 * time.Second
	offerPause   = 5 * time.Millisecond
	overloadDoor = 8 // connections
)

// overload measures for a third of its time how many orders orderd accepts when it has enough to do, and then asks it
// for more than it can do.
func overload(ctx context.Context, s *system, _ *rand.Rand) error {
	door, err := openDoor(s.Orderd.Address)
	if err != nil {
		return err
	}
	defer door.close()
	end, _ := ctx.Deadline()
	peak := door.saturate(ctx, time.Until(end)/3)
	if peak == 0 {
		return ctx.Err()
	}
	before, err := refusalsOf(ctx, s.Orderd)
	if err != nil {
		return err
	}
	others := s.askMeanwhile(ctx, door)
	offered := min(mostOffered, int(overloadBy*peak))
	seen := door.offer(ctx, offered)
	beside := others()
	forever := context.WithoutCancel(ctx)
	after, err := refusalsOf(forever, s.Orderd)
	if err != nil {
		return err
	}
	refusals := after.since(before)
	s.tell("  overload: peak %.0f/s; offered %.0f/s, accepted %.0f/s (%.0f %%; worst second %d), refused %.0f/s, "+
		"failed %d, not offered %d", peak, seen.rate(seen.offered), seen.rate(seen.accepted),
		100*seen.rate(seen.accepted)/peak, seen.worstSecond(), seen.rate(seen.refused), seen.failed, seen.withheld)
	s.tell("  overload: refusals at orderd p99 <= %s (at the client p99 %s), reads and cancels p99 %s, memory %d MB",
		ms(refusals.p99()), ms(spreadOf(seen.refusals).P99), ms(beside.slow.P99), beside.memory>>20)
	if s.alone {
		s.judgeOverload(peak, seen, refusals.p99(), beside)
	}
	return nil
}

func (s *system) judgeOverload(peak float64, seen *offering, refusal time.Duration, beside meanwhile) {
	for _, bound := range []struct {
		broken bool
		what   string
	}{
		{seen.rate(seen.accepted) < peakShare*peak, fmt.Sprintf("%.0f orders a second are accepted under overload, "+
			"want %.0f %% of %.0f", seen.rate(seen.accepted), 100*peakShare, peak)},
		{seen.failed > 0, fmt.Sprintf("%d calls failed otherwise than by OVERLOADED: %v", seen.failed, seen.failure)},
		{refusal > refusedWithin, fmt.Sprintf("refusals take up to %s at p99, want %s", refusal, refusedWithin)},
		{beside.slow.P99 > othersWithin, fmt.Sprintf("reads and cancellations take %s at p99, want %s",
			ms(beside.slow.P99), othersWithin)},
		{beside.failure != nil, fmt.Sprintf("a read or a cancellation failed: %v", beside.failure)},
		{beside.memory > mostMemory, fmt.Sprintf("orderd takes %d MB, want %d", beside.memory>>20, mostMemory>>20)},
	} {
		if bound.broken {
			s.blame(Violation{rules.Steady, "overload: " + bound.what})
		}
	}
}

// door is the connections of customers without number.
type door struct {
	conns   []*grpc.ClientConn
	clients []orderv1.OrderServiceClient
	next    atomic.Int64
	run     int64 // tells the requests of one run from those of another
}

func openDoor(address string) (*door, error) {
	d := &door{run: time.Now().UnixNano()}
	for range overloadDoor {
		conn, err := rpc.Dial(address)
		if err != nil {
			return nil, err
		}
		d.conns = append(d.conns, conn)
		d.clients = append(d.clients, orderv1.NewOrderServiceClient(conn))
	}
	return d, nil
}

func (d *door) close() {
	for _, conn := range d.conns {
		conn.Close()
	}
}

// order asks for one order more.
func (d *door) order(ctx context.Context) (*orderv1.CreateOrderResponse, error) {
	n := d.next.Add(1)
	id := fmt.Sprintf("overload-%d-%d", d.run, n)
	ctx, cancel := context.WithTimeout(ctx, overloadCall)
	defer cancel()
	return d.clients[n%overloadDoor].CreateOrder(ctx, &orderv1.CreateOrderRequest{
		CustomerId: fmt.Sprint(load.Customer, "crowd-", n%1000), RequestId: &id, CurrencyCode: "JPY",
		Items: []*orderv1.Item{{Name: load.Item, Quantity: 1, UnitPrice: 1 + n%load.MostAmount}},
	})
}

// saturate has so many callers that orderd is never idle, and returns how many orders it accepts a second. What it does
// in the beginning, with nothing behind, is left out.
func (d *door) saturate(ctx context.Context, length time.Duration) float64 {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var counted atomic.Int64
	var callers sync.WaitGroup
	from := time.Now().Add(length / 3)
	for range fullyLoaded {
		callers.Go(func() {
			for ctx.Err() == nil {
				_, err := d.order(ctx)
				switch {
				case err != nil:
					wait.For(ctx, askPause)
				case time.Now().After(from):
					counted.Add(1)
				}
			}
		})
	}
	callers.Wait()
	return float64(counted.Load()) / time.Since(from).Seconds()
}

// offering is what became of calls that were made whether or not those before were answered.
type offering struct {
	began time.Time
	took  time.Duration

	mu                                           sync.Mutex
	offered, accepted, refused, failed, withheld int
	refusals                                     []time.Duration
	seconds                                      []int // accepted, by the second
	failure                                      error // one of those that failed
}

// offer makes so many calls a second until ctx ends, and waits for the last answer.
func (d *door) offer(ctx context.Context, rate int) *offering {
	o := &offering{began: time.Now()}
	var calls sync.WaitGroup
	places := make(chan struct{}, mostWaiting)
	forever := context.WithoutCancel(ctx)
	for due := 0; wait.For(ctx, offerPause); {
		for until := int(time.Since(o.began).Seconds() * float64(rate)); due < until; due++ {
			select {
			case places <- struct{}{}:
			default:
				o.withheld++ // whoever would call has given up by now
				continue
			}
			o.offered++
			calls.Go(func() {
				defer func() { <-places }()
				began := time.Now()
				_, err := d.order(forever)
				o.note(time.Since(began), err)
			})
		}
	}
	o.took = time.Since(o.began)
	calls.Wait()
	return o
}

func (o *offering) note(took time.Duration, err error) {
	second := int(time.Since(o.began).Seconds())
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
		o.accepted++
		for len(o.seconds) <= second {
			o.seconds = append(o.seconds, 0)
		}
		o.seconds[second]++
	case overloaded(err):
		o.refused++
		o.refusals = append(o.refusals, took)
	default:
		o.failed++
		o.failure = err
	}
}

// overloaded reports whether an error says that there is too much to do, and when to come again.
func overloaded(err error) bool {
	return status.Code(err) == codes.ResourceExhausted && rpc.RetryDelay(err) > 0 &&
		rpc.Reason(err) == rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_OVERLOADED)
}

func (o *offering) rate(n int) float64 { return float64(n) / o.took.Seconds() }

// worstSecond leaves out the last one, which is not whole, and those after it.
func (o *offering) worstSecond() int {
	whole := min(len(o.seconds), int(o.took.Seconds()))
	if whole == 0 {
		return 0
	}
	return slices.Min(o.seconds[:whole])
}
