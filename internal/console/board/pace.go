package board

import (
	"math"
	"math/bits"
	"time"

	eventv1 "hosho/gen/event/v1"
	orderv1 "hosho/gen/order/v1"
)

// Window is over how long rates and latencies are taken.
const Window = 10 * time.Second

// Rates is how fast it goes, over the last Window.
type Rates struct {
	Accepted, Completed, Cancelled float64 // orders a second
	Settled                        int64   // orders, of which the next two are
	P50, P99                       time.Duration
}

// pace counts what happens, by the second in which it was told.
type pace struct {
	began   time.Time
	seconds [int(Window/time.Second) + 1]second
}

type second struct {
	unix                           int64
	accepted, completed, cancelled int64
	took                           [steps]int64 // orders that were settled, by how long that took
}

// changed counts a change. How long an order took is known when both ends of it are, whichever is told first.
func (p *pace) changed(now, at time.Time, r *record, change *eventv1.OrderChange) {
	s := p.at(now)
	switch change.GetTo() {
	case orderv1.Order_STATUS_PENDING:
		s.accepted++
	case orderv1.Order_STATUS_COMPLETED:
		s.completed++
	case orderv1.Order_STATUS_CANCELLED:
		s.cancelled++
	}
	isEnd := change.GetTo() == orderv1.Order_STATUS_COMPLETED || change.GetTo() == orderv1.Order_STATUS_CANCELLED
	if isEnd && (r.ended.IsZero() || at.Before(r.ended)) {
		r.ended = at
	}
	if !r.measured && !r.ended.IsZero() && !r.accepted.IsZero() {
		r.measured = true
		s.took[stepOf(r.ended.Sub(r.accepted))]++
	}
}

// at is the second that a moment is in.
func (p *pace) at(now time.Time) *second {
	unix := now.Unix()
	s := &p.seconds[unix%int64(len(p.seconds))]
	if s.unix != unix {
		*s = second{unix: unix}
	}
	return s
}

// rates sums the last seconds up. Those that are not over yet are counted for as much as they have passed.
func (p *pace) rates(now time.Time) Rates {
	var sum second
	for _, s := range p.seconds {
		if s.unix <= now.Add(-Window).Unix() || s.unix > now.Unix() {
			continue
		}
		sum.accepted += s.accepted
		sum.completed += s.completed
		sum.cancelled += s.cancelled
		for i, n := range s.took {
			sum.took[i] += n
		}
	}
	passed := min(Window-time.Second+time.Duration(now.Nanosecond()), now.Sub(p.began))
	per := max(passed, time.Second).Seconds()
	r := Rates{
		Accepted: float64(sum.accepted) / per, Completed: float64(sum.completed) / per,
		Cancelled: float64(sum.cancelled) / per,
	}
	for _, n := range sum.took {
		r.Settled += n
	}
	r.P50, r.P99 = quantile(sum.took[:], r.Settled, 0.5), quantile(sum.took[:], r.Settled, 0.99)
	return r
}

// steps are the widths that latencies are counted in: eight in each doubling, from a microsecond on.
const steps = 8 * 36

func stepOf(d time.Duration) int {
	n := uint64(max(d.Microseconds(), 0)) + 8 // the first steps are of a microsecond each
	power := bits.Len64(n) - 4
	return min(8*power+int(n>>power)-8, steps-1)
}

// upTo is the longest time that is counted in a step.
func upTo(step int) time.Duration {
	power := step / 8
	return time.Duration((uint64(step%8+8+1)<<power)-8-1) * time.Microsecond
}

func quantile(took []int64, all int64, q float64) time.Duration {
	if all == 0 {
		return 0
	}
	rank := int64(math.Ceil(q * float64(all)))
	for step, n := range took {
		if rank -= n; rank <= 0 {
			return upTo(step)
		}
	}
	return 0
}
