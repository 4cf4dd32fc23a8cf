package outbox

import "time"

// What was deleted is passed over by who looks from the beginning, one after the other, until it is vacuumed. While
// somebody keeps an old snapshot that may be millions: seconds, and in the end longer than a statement may take. So
// where a look at everything is dear, others come between it and the next one, each of which begins at a horizon. The
// look before has seen nothing before it but what is parked. What has come there since is seen by the next look at
// everything.

const (
	// dear is what a look at everything takes where the next one waits: dearPatience times as long, and for dearMost at
	// most.
	dear, dearPatience, dearMost = 100 * time.Millisecond, 100, 5 * time.Minute
	// longestLook bounds a look at everything, which passes over some fifty million rows in that time.
	longestLook = time.Minute
	// lookBack is how far a horizon stays behind, for what is committed late.
	lookBack = leastSlack
)

// distance says how far looks go.
type distance struct {
	usual, dear time.Duration // what a look may take, and what is dear
	within      time.Duration // what the next one at everything may take
	before      time.Duration // what the last one at everything took
	far         time.Time     // when everything is looked at next
}

func newDistance(usual, dear time.Duration) *distance {
	return &distance{usual: usual, dear: dear, within: usual}
}

// next reports whether the next look is one at everything, and what it may take.
func (d *distance) next(now time.Time) (everything bool, within time.Duration) {
	if now.Before(d.far) {
		return false, d.usual
	}
	return true, d.within
}

// looked takes what a look at everything took, and reports whether they are dear. One that was slow just once, as on a
// database that has just come back, says nothing.
func (d *distance) looked(now time.Time, took time.Duration) bool {
	d.within, d.far = min(max(d.usual, 2*took), longestLook), time.Time{}
	least := min(took, d.before)
	if d.before = took; least < d.dear {
		return false
	}
	d.far = now.Add(min(dearPatience*least, dearMost))
	return true
}

// unfinished is looked for a look that had not ended in time. The next one gets four times as long. Until one has ended
// there is no horizon, and no other look.
func (d *distance) unfinished(now time.Time, horizon bool) {
	if horizon {
		d.far = now.Add(min(dearPatience*d.within, dearMost))
	}
	d.within = min(4*d.within, longestLook)
}

// horizon is where looks may begin after this one, if one at everything is dear: nil, at the beginning, if not.
func (s Sight) horizon(isDear bool) *time.Time {
	if !isDear {
		return nil
	}
	at := s.At.Add(-lookBack)
	if s.First != nil && s.First.Before(at) {
		at = *s.First
	}
	return &at
}

// beginning is where a worker looks from that would look from the beginning; zero: from there.
func (w *Worker) beginning() time.Time {
	if at := w.horizon.Load(); at != nil {
		return *at
	}
	return time.Time{}
}
