package dispatch

import (
	"time"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/outbox"
)

// Evidence has no age. A delivery that was reported as silent is kept for as long as its stream is there, in case that
// paymentd decides after all: that saves the asking again, and may save the order from being given up.

const (
	// maxLate bounds what a stream keeps of the silent ones. Who is asked again is told the same.
	maxLate = 10_000
	// lateness is how many timeouts a stream that was retired still listens for them.
	lateness = 3
)

// miss notes that a delivery was reported as silent. The caller holds s.mu.
func (s *stream) miss(d *delivery) {
	if len(s.late) >= maxLate {
		clear(s.late)
	}
	s.late[keyOf(d.message)] = d
	s.missed = time.Now()
}

// listens reports whether a decision may still come for a delivery that was reported as silent. The caller holds s.mu.
func (s *stream) listens() bool {
	return len(s.late) > 0 && time.Since(s.missed) < lateness*s.timeout
}

// takeLate removes the delivery of a key from the silent ones, nil when there is none.
func (s *stream) takeLate(key commandKey) *delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.late[key]
	delete(s.late, key)
	return d
}

// decidedLate reports a delivery once more if what came for it is a decision. Anything else is old news.
func (d *delivery) decidedLate(result *paymentv1.PaymentResult) {
	r := outbox.Report{Message: d.message, Took: time.Since(d.sent), Late: true}
	if interpret(&r, d, result); r.Result == outbox.Decided {
		d.report(r)
	}
}
