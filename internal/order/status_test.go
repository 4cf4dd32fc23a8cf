package order_test

import (
	"testing"

	"hosho/internal/order"
)

func TestBefore(t *testing.T) {
	t.Parallel()
	// Row before column, in the order PENDING, COMPLETED, CANCELLING, CANCELLED.
	want := [4][4]bool{
		{false, true, true, true},
		{false, false, true, true},
		{false, false, false, true},
		{false, false, false, false},
	}
	for i, s := range order.Statuses {
		for j, next := range order.Statuses {
			if got := s.Before(next); got != want[i][j] {
				t.Errorf("%s before %s: got %v, want %v", s, next, got, want[i][j])
			}
		}
	}
}

func TestWhatIsKnownOfAnOrderIsLaterThanNothing(t *testing.T) {
	t.Parallel()
	const nothing = order.Status("")
	for _, s := range order.Statuses {
		if !nothing.Before(s) {
			t.Errorf("nothing before %s: got false, want true", s)
		}
		if s.Before(nothing) {
			t.Errorf("%s before nothing: got true, want false", s)
		}
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	want := map[order.Status]bool{
		order.Pending: false, order.Completed: true, order.Cancelling: false, order.Cancelled: true,
	}
	for _, s := range order.Statuses {
		if got := s.Settled(); got != want[s] {
			t.Errorf("%s: got settled %v, want %v", s, got, want[s])
		}
	}
}
