package chaos

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/load"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

const (
	mostOffered = 10_000 // calls a second
	mostWaiting = 4_000  // calls at a time
	fullyLoaded = 256    // callers who find out what orderd does for those who wait for their answers

	overloadCall = 3 * time.Second
	offerPause   = 5 * time.Millisecond
	overloadDoor = 8 // connections
)

// door is the connections of customers without number.
type door struct {
	conns   []*grpc.ClientConn
	clients []orderv1.OrderServiceClient
	next    atomic.Int64
	run     int64 // tells the requests of one run from those of another
}

func openDoor(s *system) (*door, error) {
	d := &door{run: time.Now().UnixNano()}
	for range overloadDoor {
		conn, err := s.Dial(s.Orderd, "shop")
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

// saturate has so many callers that orderd is never idle, and none is refused. What it does in the beginning, with
// nothing behind, is left out.
func (d *door) saturate(ctx context.Context, length time.Duration) *offering {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	o := &offering{began: time.Now().Add(length / 4)}
	var callers sync.WaitGroup
	for range fullyLoaded {
		callers.Go(func() {
			for ctx.Err() == nil {
				if began := time.Now(); began.Before(o.began) {
					_, _ = d.order(ctx)
				} else {
					_, err := d.order(ctx)
					o.note(time.Since(began), err)
				}
			}
		})
	}
	wait.For(ctx, time.Until(o.began))
	o.used = ownCPU()
	<-ctx.Done()
	o.end()
	callers.Wait()
	return o
}

// offering is what became of calls.
type offering struct {
	began time.Time
	took  time.Duration
	used  time.Duration // CPU time of this process when it began
	left  time.Duration // CPU time of the machine that this process did not take

	mu                                           sync.Mutex
	offered, accepted, refused, failed, withheld int
	refusals                                     []time.Duration
	seconds                                      []int // accepted, by the second
	failure                                      error // one of those that failed
}

// offer makes so many calls a second for a time, whether or not those before were answered, and waits for the last
// answer.
func (d *door) offer(ctx context.Context, length time.Duration, rate float64) *offering {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	o := &offering{began: time.Now(), used: ownCPU()}
	var calls sync.WaitGroup
	places := make(chan struct{}, mostWaiting)
	forever := context.WithoutCancel(ctx)
	for due := 0; wait.For(ctx, offerPause); {
		for until := int(time.Since(o.began).Seconds() * rate); due < until; due++ {
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
	o.end()
	calls.Wait()
	return o
}

// end notes how long it took, and what was left to those who were called.
func (o *offering) end() {
	o.took = max(0, time.Since(o.began)) // it was broken off before it began
	o.left = o.took*time.Duration(runtime.NumCPU()) - (ownCPU() - o.used)
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it takes no other argument
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
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

// yield is how many orders were accepted in a second of CPU time that was left.
func (o *offering) yield() float64 { return float64(o.accepted) / o.left.Seconds() }

// goodput is how many orders were accepted a second. Those that were accepted after the end count: others were, at the
// beginning, whose calls came before.
func (o *offering) goodput() float64 { return o.rate(o.accepted) }

// merge takes offerings together.
func merge(all []*offering) *offering {
	sum := &offering{}
	for _, o := range all {
		sum.took, sum.left = sum.took+o.took, sum.left+o.left
		sum.offered, sum.accepted, sum.refused = sum.offered+o.offered, sum.accepted+o.accepted, sum.refused+o.refused
		sum.failed, sum.withheld = sum.failed+o.failed, sum.withheld+o.withheld
		sum.refusals = append(sum.refusals, o.refusals...)
		sum.seconds = append(sum.seconds, o.whole()...)
		if o.failure != nil {
			sum.failure = o.failure
		}
	}
	return sum
}

// whole leaves out the last second, which is not one, and those after it.
func (o *offering) whole() []int { return o.seconds[:min(len(o.seconds), int(o.took.Seconds()))] }

func (o *offering) worstSecond() int {
	if len(o.seconds) == 0 {
		return 0
	}
	return slices.Min(o.seconds)
}
