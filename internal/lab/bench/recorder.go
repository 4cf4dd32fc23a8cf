package bench

import (
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/status"

	"hosho/internal/rpc"
)

// recorder notes what came of calls within a window of time. What is answered while the load warms up, or after its
// end, is no part of a rate. Latencies are those of the calls that ended within it; where calls have a schedule, of
// those that were due within it, whenever they end.
type recorder struct {
	scheduled       bool
	from, to        atomic.Int64 // the window, in nanoseconds
	create, settle  histogram
	createN, sagasN atomic.Int64
	unsent          atomic.Int64 // orders that were due within it and that nobody had begun at its end

	mu      sync.Mutex
	repeats map[string]int64 // tries that were answered with an error, by its reason
}

func newRecorder(scheduled bool) *recorder {
	r := &recorder{scheduled: scheduled, repeats: map[string]int64{}}
	r.from.Store(math.MaxInt64)
	r.to.Store(math.MaxInt64)
	return r
}

func (r *recorder) begin(t time.Time) { r.from.Store(t.UnixNano()) }
func (r *recorder) end(t time.Time)   { r.to.Store(t.UnixNano()) }

// within reports whether a time is in the window.
func (r *recorder) within(t time.Time) bool {
	at := t.UnixNano()
	return r.from.Load() <= at && at < r.to.Load()
}

// acknowledged notes an order that was accepted now, for which somebody has waited since begin.
func (r *recorder) acknowledged(begin, now time.Time) { r.note(&r.createN, &r.create, begin, now) }

// settled notes an order that somebody was told now is settled.
func (r *recorder) settled(begin, now time.Time) { r.note(&r.sagasN, &r.settle, begin, now) }

func (r *recorder) note(n *atomic.Int64, latencies *histogram, begin, now time.Time) {
	if r.within(now) {
		n.Add(1)
	}
	if r.scheduled && r.within(begin) || !r.scheduled && r.within(now) {
		latencies.add(now.Sub(begin))
	}
}

// missed notes an order that was due and that nobody has begun, when the window has ended. Whoever would have ordered
// has waited until then at least, for both answers.
func (r *recorder) missed(due time.Time) {
	if !r.within(due) {
		return
	}
	waited := time.Duration(r.to.Load() - due.UnixNano())
	r.unsent.Add(1)
	r.create.add(waited)
	r.settle.add(waited)
}

// repeated notes a try that is made again, after an error.
func (r *recorder) repeated(err error) {
	reason := rpc.Reason(err)
	if reason == "" {
		reason = status.Code(err).String()
	}
	r.repeatedFor(reason)
}

// repeatedFor notes a try that is made again, by why that is.
func (r *recorder) repeatedFor(reason string) {
	if !r.within(time.Now()) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repeats[reason]++
}

func (r *recorder) repetitions() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.repeats)
}
