package order

import (
	"slices"
	"testing"
)

// A customer gives up an order that waits or is paid, and nothing else; the relay and operators do the rest.
func TestEachWayOutOfAStatusIsKnown(t *testing.T) {
	t.Parallel()
	customers := Leavings(CustomerCancels)
	want := []Leaving{{Pending, Cancelling, ReasonCustomer}, {Completed, Cancelling, ReasonCustomer}}
	if !slices.Equal(customers, want) {
		t.Errorf("got %v by a customer, want %v", customers, want)
	}
	others := Leavings(slices.DeleteFunc(slices.Clone(Events), func(e Event) bool { return e == CustomerCancels })...)
	want = []Leaving{
		{Pending, Completed, ""},
		{Pending, Cancelled, ReasonPaymentDeclined},
		{Pending, Cancelled, ReasonDeadline},
		{Pending, Cancelled, ReasonPaymentFailed},
		{Pending, Cancelled, ReasonOperator},
		{Pending, Cancelling, ReasonPaymentFailed},
		{Pending, Cancelling, ReasonDeadline},
		{Cancelling, Cancelled, ReasonCustomer},
		{Cancelling, Cancelled, ReasonPaymentFailed},
		{Cancelling, Cancelled, ReasonDeadline},
	}
	for _, way := range want {
		if !slices.Contains(others, way) {
			t.Errorf("got no %v by the saga or an operator", way)
		}
	}
	if len(others) != len(want) {
		t.Errorf("got %v by the saga or an operator, want %v", others, want)
	}
}
