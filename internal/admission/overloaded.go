package admission

import (
	"fmt"
	"math/rand/v2"
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

// overloaded asks for a second of patience, more or less: those who are refused together do not come back together.
func overloaded(lane string) error {
	after := time.Second/2 + rand.N(time.Second)
	return &Overloaded{Lane: lane, RetryAfter: after.Round(time.Millisecond)}
}
