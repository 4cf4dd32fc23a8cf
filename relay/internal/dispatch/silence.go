package dispatch

import (
	"context"
	"slices"
	"time"

	"hosho/internal/outbox"
)

// silence is what it means that a delivery got no answer in its time.
type silence uint8

const (
	// ofAll says that nothing came: it is a blackhole, or what was sent has broken its carrier.
	ofAll silence = iota
	// inOutage says that paymentd answers, and serves nobody.
	inOutage
	// ofOne says that others were served meanwhile: it is this order that hangs.
	ofOne
)

// note notes in a report that a delivery was met with silence.
func (k silence) note(r *outbox.Report) {
	r.Unanswered = true
	r.Lost = k == ofAll // what hangs among others that are answered has broken nothing, and may stay among them
	r.Result = outbox.Blocked
	if k == ofOne {
		r.Result = outbox.TimedOut
	}
}

// silenceOf returns what a delivery's silence means. The caller holds s.mu.
func (s *stream) silenceOf(d *delivery) silence {
	switch {
	case s.heard.Before(d.sent), s.stands():
		return ofAll
	case s.served.Before(d.sent):
		return inOutage
	}
	return ofOne
}

// stands reports whether the stream has fallen silent by now: what was sent after the last answer has waited for half
// of its time. The caller holds s.mu.
func (s *stream) stands() bool {
	next, _ := slices.BinarySearchFunc(s.queue, s.heard, func(d *delivery, heard time.Time) int {
		return d.sent.Compare(heard)
	})
	return next < len(s.queue) && time.Since(s.queue[next].sent) >= s.timeout/2
}

// expire reports commands as silent whose time is over, until the stream ends. All have the same timeout, so the queue
// is in the order of their ends.
func (s *stream) expire(ctx context.Context) {
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	for {
		for _, d := range s.overdue() {
			d.answer(func(r *outbox.Report) {
				r.Code = codeSilent
				d.silence.note(r)
			})
		}
		if s.done() {
			s.cancel() // which also frees whoever is stuck in Send
			return
		}
		timer.Reset(s.untilNext())
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.added:
		}
	}
}

// overdue takes the deliveries whose time is over.
func (s *stream) overdue() []*delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var over []*delivery
	for len(s.queue) > 0 && time.Since(s.queue[0].sent) >= s.timeout {
		d := s.queue[0]
		d.silence, d.over = s.silenceOf(d), true
		s.shorten()
		over = append(over, d)
		key := keyOf(d.message)
		i := slices.Index(s.pending[key], d)
		if s.pending[key] = slices.Delete(s.pending[key], i, i+1); len(s.pending[key]) == 0 {
			delete(s.pending, key)
		}
		s.memory.add(s, d)
		s.missed = time.Now()
		s.silent = s.silent || s.heard.Before(d.sent)
	}
	return over
}

// done reports whether the stream was left, nothing is pending any more, and nothing is listened for. Then it takes
// nothing more, either.
func (s *stream) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = s.broken || s.left && len(s.pending) == 0 && !s.listens()
	return s.broken
}

// listens reports whether a decision may still come for a delivery that was reported as silent. The caller holds s.mu.
func (s *stream) listens() bool {
	return !s.deaf && s.memory.holds(s) && time.Since(s.missed) < s.listen
}

// untilNext returns how long the oldest delivery still has.
func (s *stream) untilNext() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return s.timeout
	}
	return max(0, s.timeout-time.Since(s.queue[0].sent))
}
