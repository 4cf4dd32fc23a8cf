package door

import (
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"hosho/internal/admission"
	"hosho/internal/rpc"
)

// What requests may take up that last, of the thousand that there may be: who follows an order leaves room for those
// who place one, and a page of orders is large.
const (
	maxFollowers = 500 // who watch, or wait for an order to be settled
	maxLists     = 32
)

// again is when somebody may try again for whom there was no seat.
const again = 5 * time.Second

// seats are so many of a kind.
type seats struct {
	*semaphore.Weighted
	name string
}

func newSeats(most int64, name string) seats { return seats{semaphore.NewWeighted(most), name} }

// take returns an *admission.Overloaded where there is none. Whoever got one calls leave, once.
func (s seats) take() (leave func(), err error) {
	if !s.TryAcquire(1) {
		return nil, &admission.Overloaded{Lane: s.name, RetryAfter: again}
	}
	return func() { s.Release(1) }, nil
}

// slowly is the answer of a call that lasts: each write has its own time, and one whose client takes nothing any more
// ends it.
type slowly struct {
	http.ResponseWriter

	controller *http.ResponseController
}

// Write is called by the gateway.
func (s *slowly) Write(line []byte) (int, error) {
	if err := s.controller.SetWriteDeadline(time.Now().Add(rpc.UnreadTimeout)); err != nil {
		return 0, fmt.Errorf("bound a write: %w", err)
	}
	return s.ResponseWriter.Write(line)
}

// Unwrap is called by net/http.
func (s *slowly) Unwrap() http.ResponseWriter { return s.ResponseWriter }
