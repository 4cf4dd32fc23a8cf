// Package admission bounds the work that a server takes on.
package admission

import (
	"fmt"
	"time"
)

// Overloaded refuses a call, of which nothing was done: its lane has more to do than it can do in time.
type Overloaded struct {
	Lane       string
	RetryAfter time.Duration // when it is worth another try
}

func (e *Overloaded) Error() string {
	return fmt.Sprintf("more calls than can be done in time: lane %s, worth another try in %s", e.Lane, e.RetryAfter)
}
