package main

import (
	"testing"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/order"
)

func TestTheStatusesOfDomainAndProtoAreTheSame(t *testing.T) {
	t.Parallel()
	if got, want := len(orderv1.Order_Status_name), len(order.Statuses)+1; got != want {
		t.Errorf("got %d statuses in the proto, want %d and unspecified", got, want-1)
	}
	for _, s := range order.Statuses {
		out := toOrder(order.Order{Status: s}).GetStatus()
		if back, err := fromList(&orderv1.ListOrdersRequest{Status: out}); err != nil || back.Status != s {
			t.Errorf("%s: got %s and back %q, %v, want the same word", s, out, back.Status, err)
		}
	}
	if got, err := fromList(&orderv1.ListOrdersRequest{}); err != nil || got.Status != "" {
		t.Errorf("unspecified: got %q, %v, want no status", got.Status, err)
	}
}

func TestTheCancelReasonsOfDomainAndProtoAreTheSame(t *testing.T) {
	t.Parallel()
	reasons := []order.CancelReason{
		order.ReasonPaymentDeclined, order.ReasonPaymentFailed, order.ReasonCustomer, order.ReasonDeadline,
		order.ReasonOperator,
	}
	if got, want := len(orderv1.Order_CancelReason_name), len(reasons)+1; got != want {
		t.Errorf("got %d reasons in the proto, want %d and unspecified", got, want-1)
	}
	seen := map[orderv1.Order_CancelReason]bool{orderv1.Order_CANCEL_REASON_UNSPECIFIED: true}
	for _, reason := range reasons {
		out := toOrder(order.Order{CancelReason: reason}).GetCancelReason()
		if seen[out] {
			t.Errorf("%s: got %s, want a word of its own", reason, out)
		}
		seen[out] = true
	}
	if got := toOrder(order.Order{}).GetCancelReason(); got != orderv1.Order_CANCEL_REASON_UNSPECIFIED {
		t.Errorf("no reason: got %s, want unspecified", got)
	}
}
