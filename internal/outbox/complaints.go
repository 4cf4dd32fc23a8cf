package outbox

import (
	"errors"
	"sync"
	"time"
)

// complainAgain is how long a fault lasts before the log is told of it again.
const complainAgain = time.Minute

// complaints are the faults that are met again and again while a database is away, or refuses what it was asked. The
// log is told of each at once, and not each time: who looks for the reason in the morning finds one line a minute.
type complaints struct {
	mu   sync.Mutex
	told map[string]complaint // by what could not be done
}

type complaint struct {
	reason string
	at     time.Time
}

// news reports whether the log is to be told: of this fault for the first time, for another reason, or after a while.
func (c *complaints) news(what string, err error, now time.Time) bool {
	reason := root(err).Error()
	c.mu.Lock()
	defer c.mu.Unlock()
	last, known := c.told[what]
	if known && last.reason == reason && now.Sub(last.at) < complainAgain {
		return false
	}
	if c.told == nil {
		c.told = map[string]complaint{}
	}
	c.told[what] = complaint{reason, now}
	return true
}

// root is the error that the others wrap, who say how many messages it was that could not be settled.
func root(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}
