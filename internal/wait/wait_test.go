package wait_test

import (
	"context"
	"testing"
	"time"

	"hosho/internal/wait"
)

func TestForEndsWithTheTimeOrTheContext(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{time.Nanosecond, 0, -time.Hour} {
		if !wait.For(t.Context(), d) {
			t.Errorf("the time passed, %v: got false, want true", d)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, d := range []time.Duration{time.Hour, 0, -time.Hour} {
		if wait.For(ended, d) {
			t.Errorf("the context ended, %v: got true, want false", d)
		}
	}
}

// Nobody hears it the first three times, and then there is one ring to hear.
func TestABellHoldsOneRing(t *testing.T) {
	t.Parallel()
	bell := wait.NewBell()
	for range 3 {
		bell.Ring()
	}
	<-bell
	select {
	case <-bell:
		t.Error("got a second ring, want one")
	default:
	}
	bell.Ring()
	<-bell
}
