package orderdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hosho/internal/pg"
)

// placeTries is how often orders are sent whose COMMIT is not answered, before their callers are told.
const placeTries = 3

// write writes orders, and answers those that are there already. An error is that of those that are not answered then.
//
// What it writes it takes for new. When something of it is not, nothing was written, and what is there is read, which
// is then no reason to fail any more: each time there is less to be written. What stands in an order's way is
// committed, and found.
func (s *Store) write(ctx context.Context, wanted []*wanting, waits time.Duration) error {
	left := unanswered(wanted)
	if s.repeats.Expected() {
		missing, err := s.find(ctx, left)
		if err != nil {
			return err
		}
		s.repeats.Saw(len(missing) < len(left))
		left = missing
	}
	var unknown error
	for tries := 1; len(left) > 0; {
		err := s.insert(ctx, together(left), waits)
		switch {
		case err == nil:
			unknown = nil
		case pg.Duplicates(err) != "":
			s.repeats.Saw(true)
			missing, failed := s.find(ctx, left)
			if failed != nil {
				return sentAgain(unknown, failed)
			}
			if len(missing) == len(left) {
				return sentAgain(unknown, err) // of an order's command, or of what was there only for a moment
			}
		case errors.Is(err, pg.ErrCommitUnknown) && !errors.Is(err, pg.ErrNotReplicated) && ctx.Err() == nil &&
			tries < placeTries:
			unknown = err
			tries++
		default:
			return sentAgain(unknown, err)
		}
		left = unanswered(left)
	}
	return nil
}

// sentAgain is what went wrong. If the orders had been sent before, and it is not known what became of that, it says
// nothing of them.
func sentAgain(unknown, err error) error {
	if unknown == nil || errors.Is(err, pg.ErrCommitUnknown) {
		return err
	}
	return fmt.Errorf("%w, and when it was sent again: %w", unknown, err)
}

// together returns those that a statement may write: it has one deadline, and each request once. Orders of the same
// request stand next to each other; the later ones find the first.
func together(wanted []*wanting) (part []*wanting) {
	for _, w := range wanted {
		if w.new.Deadline != wanted[0].new.Deadline {
			continue
		}
		if n := len(part); n > 0 && w.new.RequestID != "" && w.new.RequestID == part[n-1].new.RequestID &&
			w.new.CustomerID == part[n-1].new.CustomerID {
			continue
		}
		part = append(part, w)
	}
	return part
}
