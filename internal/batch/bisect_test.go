package batch_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"hosho/internal/batch"
)

var (
	errPoison = errors.New("one of them is poison")
	errOutage = errors.New("nothing goes through")
)

func ofOne(err error) bool { return errors.Is(err, errPoison) }

// numbers is 0 to n-1.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// sum does all items at once, and nothing when one of them is negative.
func sum(items []int) (total int, err error) {
	for _, i := range items {
		if i < 0 {
			return 0, fmt.Errorf("%w: %d", errPoison, i)
		}
		total += i
	}
	return total, nil
}

func TestWhatIsPoisonFailsAloneAndTheOthersAreDoneInOrder(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 33; n++ {
		for first := range n {
			for second := first; second < n; second++ {
				items := numbers(n)
				items[first], items[second] = -1-first, -1-second
				var done []int
				for part := range batch.Bisect(items, sum, ofOne) {
					done = append(done, part.Items...)
					want, bad := sum(part.Items)
					if (part.Err == nil) != (bad == nil) || part.Result != want || bad != nil && len(part.Items) > 1 {
						t.Errorf("of %d: %v came to %d, error %v", n, part.Items, part.Result, part.Err)
					}
				}
				if !slices.Equal(done, items) {
					t.Fatalf("got %v, want each once and in order: %v", done, items)
				}
			}
		}
	}
}

func TestWhatGoesWellIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	tries := 0
	counted := func(items []int) (int, error) { tries++; return sum(items) }
	for part := range batch.Bisect(numbers(1000), counted, ofOne) {
		if len(part.Items) != 1000 || part.Result != 499500 || part.Err != nil {
			t.Errorf("got %d items, %d, error %v; want all thousand", len(part.Items), part.Result, part.Err)
		}
	}
	if tries != 1 {
		t.Errorf("got %d tries, want 1", tries)
	}
}

func TestOnePoisonAmongAThousandCostsFewTries(t *testing.T) {
	t.Parallel()
	items := numbers(1000)
	items[777] = -1
	tries := 0
	counted := func(items []int) (int, error) { tries++; return sum(items) }
	for range batch.Bisect(items, counted, ofOne) {
	}
	if tries > 21 {
		t.Errorf("got %d tries, want 21 at most: the whole, and ten times two halves", tries)
	}
}

// An outage is everybody's: halving would only knock more often.
func TestAnErrorOfAllIsNotHalved(t *testing.T) {
	t.Parallel()
	tries := 0
	outage := func([]int) (int, error) { tries++; return 0, errOutage }
	for part := range batch.Bisect(numbers(8), outage, ofOne) {
		if len(part.Items) != 8 || !errors.Is(part.Err, errOutage) {
			t.Errorf("got %d items, error %v; want all eight and the outage", len(part.Items), part.Err)
		}
	}
	if tries != 1 {
		t.Errorf("got %d tries, want 1", tries)
	}
}

// A part is dealt with before the next one is tried, so that the loop's body may make the next one wait, or be the
// last.
func TestThePartsComeOneByOne(t *testing.T) {
	t.Parallel()
	items := []int{1, 2, -3, 4}
	var tried []string
	try := func(items []int) (int, error) { tried = append(tried, fmt.Sprint(items)); return sum(items) }
	for part := range batch.Bisect(items, try, ofOne) {
		tried = append(tried, "then")
		if part.Err != nil {
			break
		}
	}
	want := []string{"[1 2 -3 4]", "[1 2]", "then", "[-3 4]", "[-3]", "then"}
	if !slices.Equal(tried, want) {
		t.Errorf("got %q, want %q", tried, want)
	}
}

func TestOfNothingNothingIsDone(t *testing.T) {
	t.Parallel()
	for part := range batch.Bisect(nil, func([]int) (int, error) { t.Error("it was done"); return 0, nil }, ofOne) {
		t.Errorf("got %v, want no part", part)
	}
}
