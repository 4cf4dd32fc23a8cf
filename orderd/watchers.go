package main

// watchers is a set of them. Nearly every order has one, which needs no map.
type watchers struct {
	first  watcher // nil for none
	others map[watcher]struct{}
}

func (s *watchers) none() bool { return s.first == nil && len(s.others) == 0 }

func (s *watchers) add(w watcher) {
	switch {
	case s.none():
		s.first = w
	case s.first != w:
		if s.others == nil {
			s.others = map[watcher]struct{}{}
		}
		s.others[w] = struct{}{}
	}
}

func (s *watchers) remove(w watcher) {
	if s.first == w {
		s.first = nil
	} else {
		delete(s.others, w)
	}
}

// all ranges over them. Those that it has reached may be removed meanwhile.
func (s *watchers) all(yield func(watcher) bool) {
	if s.first != nil && !yield(s.first) {
		return
	}
	for w := range s.others {
		if !yield(w) {
			return
		}
	}
}
