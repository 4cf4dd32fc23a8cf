package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The histogram's buckets: microseconds, each power of two cut into 128, so that a figure is at most 0.8 % too large,
// however many calls there are. What is below 128 us is exact, what is above 71 min counts as that.
const (
	steps      = 128
	stepBits   = 7
	largestBit = 32
)

// histogram is durations by the number. It is safe for concurrent use.
type histogram struct {
	counts [(largestBit - stepBits + 1) * steps]atomic.Int64
	n      atomic.Int64
	most   atomic.Int64 // microseconds, exact
}

// bucketOf returns the place of a number of microseconds.
func bucketOf(us int64) int {
	us = min(max(us, 0), 1<<largestBit-1)
	if us < steps {
		return int(us)
	}
	shift := bits.Len64(uint64(us)) - stepBits - 1
	return (shift+1)*steps + int(us>>shift) - steps
}

// largestIn returns the largest number of microseconds whose place it is.
func largestIn(bucket int) int64 {
	if bucket < steps {
		return int64(bucket)
	}
	shift := bucket/steps - 1
	return (int64(bucket%steps+steps)+1)<<shift - 1
}

func (h *histogram) add(d time.Duration) {
	us := d.Microseconds()
	h.counts[bucketOf(us)].Add(1)
	h.n.Add(1)
	for most := h.most.Load(); us > most && !h.most.CompareAndSwap(most, us); {
		most = h.most.Load()
	}
}

// quantile returns what the share q of the durations does not exceed: the smallest one with at least so many at or
// below it.
func (h *histogram) quantile(q float64) time.Duration {
	want := int64(q * float64(h.n.Load()))
	if float64(want) < q*float64(h.n.Load()) {
		want++
	}
	want = max(want, 1)
	seen := int64(0)
	for bucket := range h.counts {
		if seen += h.counts[bucket].Load(); seen >= want {
			return time.Duration(min(largestIn(bucket), h.most.Load())) * time.Microsecond
		}
	}
	return 0
}

// Spread is how latencies are distributed, in milliseconds.
type Spread struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	N   int64   `json:"n"`
}

// spread returns nil where there is nothing.
func (h *histogram) spread() *Spread {
	n := h.n.Load()
	if n == 0 {
		return nil
	}
	return &Spread{
		P50: millis(h.quantile(0.5)), P90: millis(h.quantile(0.9)), P99: millis(h.quantile(0.99)),
		Max: millis(time.Duration(h.most.Load()) * time.Microsecond), N: n,
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
