package digest

import (
	"sync"
	"time"
)

// again is how long an outage lasts before the log is told of it again.
const again = time.Minute

// Outage is a fault that is met again and again until it is over. The log is told when it begins, once a minute while
// it lasts, and when it is over. What comes and goes many times a minute is told no more often. The zero Outage has not
// begun.
type Outage struct {
	mu          sync.Mutex
	began, told time.Time
	untold      int
}

// Met notes that the fault was met so many times, and returns how many the log is to be told of; 0: it is not yet.
func (o *Outage) Met(times int, now time.Time) (tell int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.untold += times
	if o.began.IsZero() {
		o.began = now
	}
	if !o.told.IsZero() && now.Sub(o.told) < again {
		return 0
	}
	tell, o.told, o.untold = o.untold, now, 0
	return tell
}

// Over notes that all is well. It returns how long the fault lasted, and how many times it was met that the log was not
// told of; false when there was none, or the log was not told that it began.
func (o *Outage) Over(now time.Time) (lasted time.Duration, untold int, tell bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() {
		return 0, 0, false
	}
	lasted, tell = now.Sub(o.began), !o.told.Before(o.began)
	o.began = time.Time{}
	if tell {
		untold, o.untold = o.untold, 0
	}
	return lasted, untold, tell
}
