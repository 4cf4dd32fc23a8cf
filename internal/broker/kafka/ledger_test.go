package kafka

import (
	"slices"
	"testing"
)

// life is a member that is given a partition, from what is committed of it.
func life(c committed) *ledger {
	return &ledger{low: c.low, left: countOf(c.text), done: map[int64]bool{}}
}

// committed is what is left of a member that died.
type committed struct {
	low  int64
	text string
}

func (l *ledger) dies() committed { return committed{l.low, l.now().String()} }

// offers returns what may be given out of n events, and gives it.
func (l *ledger) offers(from, n int64) (offsets []int64) {
	for o := from; o < from+n && l.may(o); o++ {
		l.give(o)
		offsets = append(offsets, o)
	}
	return offsets
}

// An event kills whoever has it. It is found, and its neighbours are not blamed, however many are fetched at a time.
func TestTheEventThatKillsIsFound(t *testing.T) {
	t.Parallel()
	const killer, most, enough = 40, 200, 5
	now := committed{low: -1}
	deaths, lastGiven := 0, 0
	for lastGiven < enough {
		l := life(now)
		for died := false; !died; {
			next := max(l.low, 0)
			given := map[int64]int{}
			for o := next; o < next+most; o++ {
				given[o] = l.given(o)
			}
			batch := l.offers(next, most)
			for _, o := range batch {
				if o != killer && given[o] >= 3 {
					t.Fatalf("after %d deaths: %d was given out %d times, and kills nobody", deaths, o, given[o])
				}
			}
			if died = slices.Contains(batch, killer); died {
				lastGiven = given[killer]
				continue
			}
			for _, o := range batch {
				l.settle(o)
			}
		}
		now = l.dies()
		if deaths++; deaths > enough+1 {
			t.Fatalf("after %d deaths it was given out %d times, want each counted", deaths, lastGiven)
		}
	}
	l := life(now)
	l.give(killer)
	l.settle(killer) // a dead letter
	if got := l.given(killer + 1); got >= 3 {
		t.Errorf("got %d times that the one after it was given out, want fewer than 3", got)
	}
}

// Two have died, and the second had only the first few of what the first had. The others begin anew: else all that
// comes for long would go one by one.
func TestWhatNobodyHadIsNotCountedWithWhatSomebodyDiedOf(t *testing.T) {
	t.Parallel()
	first := life(committed{low: 0})
	first.offers(0, 200)
	second := life(first.dies())
	had := second.offers(0, 200)
	third := life(second.dies())
	if len(had) != few {
		t.Errorf("got %d given out of what somebody died of, want %d", len(had), few)
	}
	if got := third.given(few - 1); got != 2 {
		t.Errorf("got %d times that the last of them was given out, want 2", got)
	}
	if got := third.given(few); got != 0 {
		t.Errorf("got %d times that the one after them was given out, want 0", got)
	}
}

func TestWhatIsGivenBackIsNotCounted(t *testing.T) {
	t.Parallel()
	l := life(committed{low: 7})
	l.offers(7, 10)
	l.settle(7)
	l.settle(9)
	l.forget()
	if got, want := l.dies(), (committed{low: 8}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheFirstThatIsNotDoneIsCommitted(t *testing.T) {
	t.Parallel()
	l := life(committed{low: -1})
	for _, o := range []int64{3, 4, 9, 10} { // there may be gaps
		l.give(o)
	}
	for _, tt := range []struct{ done, low int64 }{{9, 3}, {3, 4}, {4, 10}, {10, 11}} {
		l.settle(tt.done)
		if l.low != tt.low {
			t.Errorf("%d is done: got %d as the first that is not, want %d", tt.done, l.low, tt.low)
		}
	}
	if l.has(10) || len(l.done) > 0 || l.now() != (count{}) {
		t.Errorf("got %+v, want nothing left", l)
	}
}

func TestACountIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []count{{}, {1, 1, 1024}, {5, 2, 77}} {
		if got := countOf(c.String()); got != c {
			t.Errorf("got %v, want %v", got, c)
		}
	}
	if got := countOf("consumer-1-7f3a"); got != (count{}) {
		t.Errorf("got %v of somebody else's text, want none", got)
	}
}
