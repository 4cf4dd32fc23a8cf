package order_test

import (
	"slices"
	"testing"
	"time"

	"hosho/internal/order"
)

func TestWhy(t *testing.T) {
	t.Parallel()
	const limit, none = time.Hour, order.NeedsNoPerson
	type standing = order.Standing
	charge := order.Standing{Command: order.Charge, Status: order.Pending, Age: time.Minute, Late: -time.Minute}
	void := order.Standing{Command: order.Void, Status: order.Cancelling, Age: time.Minute, Late: 24 * time.Hour}
	with := func(s order.Standing, change func(*order.Standing)) order.Standing {
		change(&s)
		return s
	}
	tests := []struct {
		name string
		give order.Standing
		want order.Why
	}{
		{"a charge", charge, none},
		{
			"a charge, parked",
			with(charge, func(s *standing) { s.Parked, s.LastCode = true, "KEY_REUSED" }),
			order.Parked,
		},
		{
			"a charge, parked long ago",
			with(charge, func(s *standing) { s.Parked, s.Age, s.Late = true, 9*limit, 8*limit }),
			order.Parked,
		},
		{
			"a charge, retried after a conflict",
			with(charge, func(s *standing) { s.LastCode = "KEY_REUSED" }),
			order.InConflict,
		},
		{"a charge, as late as it may be", with(charge, func(s *standing) { s.Late = limit }), none},
		{"a charge, too late", with(charge, func(s *standing) { s.Late = limit + 1 }), order.Overdue},
		{"a charge that waits in an outage", with(charge, func(s *standing) { s.Age = 9 * limit }), none},
		{
			"a charge, undecided as long as it may be",
			with(charge, func(s *standing) { s.Attempts, s.Age = 1, limit }),
			none,
		},
		{
			"a charge, undecided for too long",
			with(charge, func(s *standing) { s.Attempts, s.Age = 1, limit+1 }),
			order.Undecided,
		},
		{"a charge, tried often", with(charge, func(s *standing) { s.Claims = order.TooManyClaims - 1 }), none},
		{
			"a charge, tried too often",
			with(charge, func(s *standing) { s.Claims = order.TooManyClaims }),
			order.TriedInVain,
		},
		{"a void", void, none},
		{"a void, in conflict", with(void, func(s *standing) { s.LastCode = "ECHO_MISMATCH" }), order.InConflict},
		{"a void, as old as it may be", with(void, func(s *standing) { s.Age = limit }), none},
		{"a void, too old", with(void, func(s *standing) { s.Age = limit + 1 }), order.Undecided},
		{
			"a void, tried too often",
			with(void, func(s *standing) { s.Claims = order.TooManyClaims }),
			order.TriedInVain,
		},
		{
			"a parked charge whose void decides",
			with(charge, func(s *standing) { s.Parked, s.Status = true, order.Cancelling }),
			none,
		},
		{
			"a void that nobody can have written",
			with(void, func(s *standing) { s.Status = order.Pending }),
			order.Unwanted,
		},
		{
			"a charge of a COMPLETED order",
			with(charge, func(s *standing) { s.Status = order.Completed }),
			order.Unwanted,
		},
		{"a void of a CANCELLED order", with(void, func(s *standing) { s.Status = order.Cancelled }), order.Unwanted},
		{"a void of no order", order.Standing{Command: order.Void}, order.Unwanted},
	}
	for _, tt := range tests {
		if got := tt.give.Why(limit); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// An order whose status is young can only be stuck in ways that are seen at once: whoever looks for stuck orders may
// leave out the others without asking how long they waited.
func TestAYoungOrderIsStuckOnlyAtOnce(t *testing.T) {
	t.Parallel()
	const limit = time.Hour
	for _, status := range []order.Status{order.Pending, order.Cancelling} {
		for _, attempts := range []int{0, 5} {
			s := order.Standing{Command: status.Driver(), Status: status, Attempts: attempts, Age: limit, Late: limit}
			if got := s.Why(limit); got != order.NeedsNoPerson {
				t.Errorf("%s with %d attempts: got %q, want none", status, attempts, got)
			}
		}
	}
}

func TestAPersonIsToldAtALimitAndEachDoubling(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int][]int{1: {1, 2, 4, 8, 16, 32}, 3: {3, 6, 12, 24}, 20: {20}} {
		var got []int
		for n := range 40 {
			if order.Doubled(n, limit) {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("from %d: got %v, want %v", limit, got, want)
		}
	}
}
