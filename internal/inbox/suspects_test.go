package inbox

import (
	"testing"
	"time"

	"hosho/internal/broker"
)

// Others join, take events and leave without a word, as one does that is started anew again and again. What they had is
// handled by whoever has been there all the time: he does not die of it.
func TestWhatOthersLeaveAgainAndAgainIsNotDeadToWhoStays(t *testing.T) {
	t.Parallel()
	e := broker.Event{ID: "1", Given: 50}
	for name, tt := range map[string]struct {
		age  time.Duration
		want bool
	}{
		"who was started for it": {0, true},
		"who has been there":     {time.Hour, false},
	} {
		s := newSuspects()
		s.since = time.Now().Add(-tt.age)
		if !s.among([]broker.Event{e}) {
			t.Errorf("%s: it is no suspect, and would be handled with others", name)
		}
		if n, dead := s.kills(&e); dead != tt.want || n != 50 {
			t.Errorf("%s: got %v after %d, want %v", name, dead, n, tt.want)
		}
	}
}
