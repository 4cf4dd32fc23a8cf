package stage

import (
	"context"
	"errors"
	"time"

	"hosho/internal/console"
	"hosho/internal/wait"
)

// hold is who has a part, and until when. Scenes do not know.
type hold struct {
	by    string
	until time.Time
}

// Faults are all that there are, and how they stand.
func (s *Stage) Faults() []console.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []console.Fault
	for _, f := range faults {
		told := console.Fault{Name: f.name, Failed: s.failed[f.name]}
		if h, taken := s.taken[f.takes]; taken && h.by == f.name {
			told.Until = h.until
		} else if taken {
			told.By = h.by
		}
		all = append(all, told)
	}
	return all
}

// Break makes a fault in both worlds, and returns when it is there. It ends by itself. A console.BusyError when its
// part is broken already.
func (s *Stage) Break(ctx context.Context, name string) error {
	_, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	f, err := find(name)
	if err != nil {
		return err
	}
	right, left, err := s.worlds()
	if err != nil {
		return err
	}
	until := time.Now().Add(s.lasts)
	if err := s.take(hold{f.name, until}, f.takes); err != nil {
		return err
	}
	var begun []*world
	for _, w := range []*world{right, left} {
		begun = append(begun, w)
		if err = f.begin(w); err != nil {
			s.mend(f, begun)
			return err
		}
	}
	s.running.Go(func() {
		wait.For(s.ctx, time.Until(until))
		s.mend(f, begun)
	})
	return nil
}

// mend ends a fault.
func (s *Stage) mend(f fault, worlds []*world) {
	var err error
	for _, w := range worlds {
		err = errors.Join(err, f.end(s.ctx, w))
		if w.naive != nil {
			w.naive.Hurry()
		}
	}
	s.free(s.complain("the end of "+f.name, err), f.takes)
}

// take gives parts to somebody, if nobody has one of them.
func (s *Stage) take(by hold, parts ...part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		if h, taken := s.taken[p]; taken {
			return &console.BusyError{Wanted: by.by, By: h.by, Until: h.until}
		}
	}
	for _, p := range parts {
		s.taken[p] = by
	}
	return nil
}

// free takes parts back, and notes what went wrong with them.
func (s *Stage) free(failed string, parts ...part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		s.failed[s.taken[p].by] = failed
		delete(s.taken, p)
	}
}
