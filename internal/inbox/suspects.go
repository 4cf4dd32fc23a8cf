package inbox

import (
	"sync"
	"time"

	"hosho/internal/broker"
)

const (
	// killsAlone is how many times an event has outlived its consumer before it is handled by itself.
	killsAlone = 3
	// killsDead is how many times before it is dead. Deaths that are nobody's fault take what is held along, and
	// RabbitMQ counts what it has handed over ahead: whoever is innocent of a storm of them is not to come to that.
	killsDead = 10
	// youth is how long a process may have been there that takes an event for dead by its count. It is longer than any
	// broker takes to give out anew what was held by one that died: what kills comes to somebody young again and again.
	// Who has been there for longer handles it, by itself: others have come, taken it and left, of whatever they died.
	youth = 15 * time.Second
	// mostSeen bounds what is remembered of what this process was given.
	mostSeen = 10_000
)

// suspects tells which events may be killing their consumers. The broker counts how often each was given out in vain.
// That this process was given it before, and is alive, speaks for the event: the connection was lost.
type suspects struct {
	since time.Time // when this process began
	mu    sync.Mutex
	seen  map[string]int
}

func newSuspects() *suspects { return &suspects{since: time.Now(), seen: map[string]int{}} }

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

// kills reports whether an event is dead, and how many consumers it has outlived, this process not among them.
func (s *suspects) kills(e *broker.Event) (outlived int, dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	outlived = e.Given - (s.seen[keyOf(e)] - 1)
	return outlived, outlived >= killsDead && time.Since(s.since) < youth
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
