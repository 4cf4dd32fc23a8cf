package dispatch

import (
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
