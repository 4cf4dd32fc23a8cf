package pg

import (
	"testing"
	"testing/synctest"
	"time"
)

// One listener's own wake-up is heard by all: those who have heard their own leave it to him, for a while, and the
// others do not.
func TestAListenerLeavesItToOthersToProveThatTheyAreHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		notes := 0
		h := &hearing{Listener: &Listener{own: ownPrefix + "mine"}, heard: func(string) { notes++ }, probe: time.Now()}
		due := func() time.Duration { return time.Until(h.next()) }
		h.hear(ownPrefix + "another's")
		if got := due(); got != 0 {
			t.Errorf("before it has proved that it hears: got its own wake-up due in %v, want at once", got)
		}
		h.sent, h.probe = true, time.Now().Add(hearWithin)
		h.hear("LOOKED")
		if got := due(); got != hearWithin {
			t.Errorf("while it waits for its own: got it waiting for %v, want %v", got, hearWithin)
		}
		h.hear(h.Listener.own)
		if got := due(); got != probeInterval {
			t.Errorf("got its next one due in %v, want %v", got, probeInterval)
		}
		last := time.Now().Add(ownInterval)
		for time.Until(last) > 2*probeInterval {
			time.Sleep(probeInterval / 2)
			h.hear(ownPrefix + "another's")
			if got := due(); got < probeInterval || got > probeInterval*3/2 {
				t.Errorf("after another's: got its own due in %v, want more than %v", got, probeInterval)
			}
		}
		for time.Now().Before(last) {
			time.Sleep(time.Second)
			h.hear("LOOKED")
		}
		if got := due(); got != 0 {
			t.Errorf("after %v: got its own due in %v, want at once", ownInterval, got)
		}
		if want := 1 + int(2*probeInterval/time.Second); notes != want {
			t.Errorf("got %d wake-ups told, want %d", notes, want)
		}
	})
}
