package stage

import (
	"context"
	"fmt"
	"sync"
	"time"

	"hosho/internal/console"
	"hosho/internal/lab/invariant"
)

// books are read by one at a time, for all who ask.
type books struct {
	mu   sync.Mutex
	read console.Twin
	good time.Time // until then nobody reads them again
}

// readingShare is how much of the time may go into reading the books: they are counted row by row.
const readingShare = 10 // one tenth

// Twin reads the books of both worlds. What another has read a moment ago is given once more: it is at most ten times
// as old as it takes to read them.
func (s *Stage) Twin(ctx context.Context) (console.Twin, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return console.Twin{}, err
	}
	defer leave()
	right, err := s.hosho()
	if err != nil {
		return console.Twin{}, err
	}
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	began := time.Now()
	if began.Before(s.books.good) {
		return s.books.read, nil
	}
	var both console.Twin
	if both.Right, err = right.read(ctx); err != nil {
		return console.Twin{}, fmt.Errorf("read hosho's books: %w", err)
	}
	if left := s.twinNow(); left != nil {
		if both.Left, err = left.read(ctx); err != nil {
			return console.Twin{}, fmt.Errorf("read the twin's books: %w", err)
		}
	}
	now := time.Now()
	s.books.read, s.books.good = both, now.Add(readingShare*now.Sub(began))
	return both, nil
}

func (w *world) read(ctx context.Context) (console.Books, error) {
	sum, err := invariant.Sum(ctx, w.orders, w.payments)
	return console.Books{Held: sum.Held, Owed: sum.Owed, Orders: sum.Orders, Payments: sum.Payments}, err
}
