package batch

import "iter"

// Part is items that were done, or failed, together.
type Part[T, R any] struct {
	Items  []T // next to each other among those that Bisect was given
	Result R   // what do returned for them
	Err    error
}

// Bisect does all items at once. When that fails by an error that may be one item's, as ofOne reports, it does either
// half, and so on, until the bad ones fail alone; any other error is that of all items that were done together. The
// first half is done before the second, so that the items keep their order.
//
// It does so while its result is ranged over, and yields each part as soon as that is done or has failed for good: the
// next one is tried when the loop's body is through. Of no items nothing is done.
func Bisect[T, R any](items []T, do func([]T) (R, error), ofOne func(error) bool) iter.Seq[Part[T, R]] {
	return func(yield func(Part[T, R]) bool) {
		if len(items) > 0 {
			bisect(items, do, ofOne, yield)
		}
	}
}

// bisect reports whether to go on.
func bisect[T, R any](items []T, do func([]T) (R, error), ofOne func(error) bool, yield func(Part[T, R]) bool) bool {
	result, err := do(items)
	if err == nil || len(items) == 1 || !ofOne(err) {
		return yield(Part[T, R]{Items: items, Result: result, Err: err})
	}
	half := len(items) / 2
	return bisect(items[:half], do, ofOne, yield) && bisect(items[half:], do, ofOne, yield)
}
