package inbox

import (
	"sync"

	"hosho/internal/broker"
)

const (
	// killsAlone is how many times an event has outlived its consumer before it is handled by itself.
	killsAlone = 3
	// killsDead is how many times before it is dead. Deaths that are nobody's fault take what is held along, and
	// RabbitMQ counts what it has handed over ahead: whoever is innocent of a storm of them is not to come to that.
	killsDead = 10
	// mostSeen bounds what is remembered of what this process was given.
	mostSeen = 10_000
)

// suspects tells which events may be killing their consumers. The broker counts how often each was given out in vain.
// That this process was given it before, and is alive, speaks for the event: the connection was lost.
type suspects struct {
	mu   sync.Mutex
	seen map[string]int
}

func newSuspects() *suspects { return &suspects{seen: map[string]int{}} }

// among notes that events were given out, and reports whether one of them may kill.
func (s *suspects) among(events []broker.Event) (some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen)+len(events) > mostSeen {
		clear(s.seen)
	}
	for i := range events {
		e := &events[i]
		some = some || e.Given-s.seen[keyOf(e)] >= killsAlone
		s.seen[keyOf(e)]++
	}
	return some
}

// killed returns how many consumers an event has outlived, this process not among them.
func (s *suspects) killed(e *broker.Event) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.Given - (s.seen[keyOf(e)] - 1)
}

// ended forgets what is dealt with.
func (s *suspects) ended(events []broker.Event, verdicts []Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, v := range verdicts {
		if v.Fate != Later {
			delete(s.seen, keyOf(&events[i]))
		}
	}
}

func keyOf(e *broker.Event) string { return e.Source + "/" + e.ID }
