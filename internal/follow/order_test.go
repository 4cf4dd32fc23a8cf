package follow

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Two daemons tell what happened in turn, one of them a little later than the other.
func TestWhatComesLateIsToldInItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		o := NewOrder(func(s string) { got = append(got, s) })
		began := time.Now()
		at := func(n int) time.Time { return began.Add(time.Duration(n) * time.Millisecond) }
		o.Add(at(2), "paid")
		o.Add(at(4), "cancelled")
		<-time.After(50 * time.Millisecond)
		o.Add(at(3), "charged late")
		o.Add(at(1), "accepted")
		o.Add(at(1), "and another")
		o.mu.Lock() // that things are told with
		if len(got) != 0 {
			t.Errorf("got %v at once, want it held back", got)
		}
		o.mu.Unlock()
		<-time.After(2 * heldBack)
		synctest.Wait()
		o.Add(at(0), "far too late")
		o.Flush()
		synctest.Wait()
		want := []string{"accepted", "and another", "paid", "charged late", "cancelled", "far too late"}
		if diff := cmp.Diff(want, slices.Clone(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
