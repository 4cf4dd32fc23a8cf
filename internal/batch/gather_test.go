package batch_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"hosho/internal/batch"
)

func TestWhatIsAddedIsTakenOnceAndInOrder(t *testing.T) {
	t.Parallel()
	g := batch.NewGather[int]()
	if got := g.Take(); got != nil {
		t.Errorf("empty: got %v, want nil", got)
	}
	g.Add(1)
	g.Add(2, 3)
	if got := g.Take(); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("got %v, want 1 2 3", got)
	}
	if got := g.Take(); got != nil {
		t.Errorf("taken before: got %v, want nil", got)
	}
}

// What was taken is the taker's: what is added later must not show up in it.
func TestWhatIsTakenStaysAsItIs(t *testing.T) {
	t.Parallel()
	g := batch.NewGather[int]()
	g.Add(1, 2, 3) // append makes room for more
	taken := append(g.Take(), 4)
	g.Add(5, 6, 7, 8)
	if !slices.Equal(taken, []int{1, 2, 3, 4}) {
		t.Errorf("got %v, want 1 2 3 4", taken)
	}
}

func TestManyAddsAreOneNews(t *testing.T) {
	t.Parallel()
	g := batch.NewGather[int]()
	heard := func() bool {
		select {
		case <-g.News():
			return true
		default:
			return false
		}
	}
	if heard() {
		t.Error("empty: got news, want none")
	}
	g.Add(1)
	g.Add(2)
	if !heard() {
		t.Error("got no news of two items")
	}
	if heard() {
		t.Error("got news twice, want once")
	}
	g.Take()
	g.Add(3)
	if !heard() {
		t.Error("got no news of an item that was added after the others were taken")
	}
}

// A hundred goroutines add while one takes whenever it hears news. It gets everything once, and of each goroutine in
// the order in which that added; it would wait for ever, and synctest would tell, if news of the last items were lost.
func TestNothingIsLostAmongManyGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const goroutines, each = 100, 50
		type item struct{ from, number int }
		g := batch.NewGather[item]()
		var adding sync.WaitGroup
		for from := range goroutines {
			adding.Go(func() {
				for number := range each {
					g.Add(item{from, number})
				}
			})
		}
		next := make([]int, goroutines)
		for taken := 0; taken < goroutines*each; {
			<-g.News()
			for _, i := range g.Take() {
				if i.number != next[i.from] {
					t.Fatalf("of goroutine %d: got item %d, want %d", i.from, i.number, next[i.from])
				}
				next[i.from]++
				taken++
			}
		}
		adding.Wait()
		if left := g.Take(); left != nil {
			t.Errorf("got %d more items than were added", len(left))
		}
	})
}
