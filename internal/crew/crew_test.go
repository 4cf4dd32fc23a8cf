package crew

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// However many are at work, what is given to one begins at once: each of these waits for all others.
func TestWhatIsGivenBeginsAtOnce(t *testing.T) {
	for _, n := range []int{1, 3 * most, 2, most} {
		var begun, ended sync.WaitGroup
		begun.Add(n)
		for range n {
			ended.Add(1)
			Go(func() {
				defer ended.Done()
				begun.Done()
				begun.Wait()
			})
		}
		ended.Wait()
	}
}

// What one has been given is not kept while it waits, nor is it done twice.
func TestEachIsDoneOnce(t *testing.T) {
	var mu sync.Mutex
	done := map[int]int{}
	var all sync.WaitGroup
	for i := range 1000 {
		all.Add(1)
		Go(func() {
			defer all.Done()
			mu.Lock()
			defer mu.Unlock()
			done[i]++
		})
	}
	all.Wait()
	for i := range 1000 {
		if done[i] != 1 {
			t.Fatalf("%d was done %d times, want once", i, done[i])
		}
	}
}

// After a rush all goroutines end: chaos once found a relay at rest with 65 more than it had begun with. The bubble
// fails with one that does not.
func TestAfterARushNobodyIsKept(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		var c crew
		var rush sync.WaitGroup
		for range 2 * most {
			rush.Add(1)
			c.run(rush.Done)
		}
		rush.Wait()
		time.Sleep(3 * unneeded) // the first look may have been before the last of them waited
		synctest.Wait()
	})
}
