package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"hosho/internal/wait"
)

// A delivery was sent two seconds ago, and its time is over. What that means is what came of the others.
func TestSilenceIsJudgedByTheNeighbours(t *testing.T) {
	t.Parallel()
	const before, never = 3 * time.Second, time.Hour
	for _, tt := range []struct {
		name          string
		heard, served time.Duration   // ago: when something came; when what was served was sent
		younger       []time.Duration // ago: when others were sent that wait as well
		want          silence
	}{
		{"nothing ever came", never, never, nil, ofAll},
		{"nothing came since it was sent", before, before, []time.Duration{time.Second}, ofAll},
		{"those that were sent with it were served", time.Second, 2 * time.Second, nil, ofOne},
		{"one that was sent later was served", 100 * time.Millisecond, time.Second, nil, ofOne},
		{"others hang, too", 100 * time.Millisecond, time.Second, []time.Duration{time.Second, 0}, ofOne},
		{"what came was an outage's answer", 100 * time.Millisecond, before, nil, inOutage},
		{"what came is of before, as over a slow link", 100 * time.Millisecond, 2100 * time.Millisecond, nil, inOutage},
		{
			"the stream has fallen silent since", 1900 * time.Millisecond, 2 * time.Second,
			[]time.Duration{1800 * time.Millisecond, time.Second},
			ofAll,
		},
		{"nobody is there to tell whether it has", 1900 * time.Millisecond, 2 * time.Second, nil, ofOne},
	} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			d := &delivery{sent: now.Add(-2 * time.Second)}
			s := &stream{
				timeout: 2 * time.Second, heard: now.Add(-tt.heard), served: now.Add(-tt.served), queue: []*delivery{d},
			}
			for _, ago := range tt.younger {
				s.queue = append(s.queue, &delivery{sent: now.Add(-ago)})
			}
			if got := s.silenceOf(d); got != tt.want {
				t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
			}
		})
	}
}

// What was answered is let go, as soon as nothing waits that was sent before it: a thousand commands a second would
// else be kept for as long as a command may take.
func TestWhatWasAnsweredIsNotKept(t *testing.T) {
	t.Parallel()
	s := &stream{pending: map[commandKey][]*delivery{}, timeout: time.Hour, added: wait.NewBell()}
	var all []*delivery
	for n := range 4 {
		all = append(all, silentOne(n))
	}
	if err := s.expect(all); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ answered, kept int }{{2, 4}, {0, 3}, {1, 1}, {3, 0}} {
		s.takePending(keyOf(all[step.answered].message))
		if len(s.queue) != step.kept {
			t.Errorf("after the answer to %d: got %d kept, want %d", step.answered, len(s.queue), step.kept)
		}
	}
}
