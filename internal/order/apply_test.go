package order_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/order"
)

// matrix is the table of doc/rules.md, written out by hand: for each event what it does to an order that is
// PENDING, COMPLETED, CANCELLING and CANCELLED.
var matrix = map[order.Event][4]order.Transition{
	order.CustomerCancels: {
		{To: order.Cancelling, Reason: order.ReasonCustomer, Fate: order.Keep, Void: true},
		{To: order.Cancelling, Reason: order.ReasonCustomer, Fate: order.Keep, Void: true},
		{To: order.Cancelling, Fate: order.Keep},
		{To: order.Cancelled, Fate: order.Keep},
	},

	order.PaymentCharged: {
		{To: order.Completed, Fate: order.DropAll},
		{To: order.Completed, Fate: order.Drop},
		{To: order.Cancelling, Fate: order.Drop},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.PaymentDeclined: {
		{To: order.Cancelled, Reason: order.ReasonPaymentDeclined, Fate: order.DropAll},
		{To: order.Completed, Fate: order.Drop, Alarm: true},
		{To: order.Cancelled, Fate: order.DropAll},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.PaymentExpired: {
		{To: order.Cancelled, Reason: order.ReasonDeadline, Fate: order.DropAll},
		{To: order.Completed, Fate: order.Drop, Alarm: true},
		{To: order.Cancelled, Fate: order.DropAll},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.PaymentVoided: {
		{To: order.Cancelled, Reason: order.ReasonPaymentFailed, Fate: order.DropAll},
		{To: order.Completed, Fate: order.Drop, Alarm: true},
		{To: order.Cancelled, Fate: order.DropAll},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.PaymentRefunded: {
		{To: order.Cancelled, Reason: order.ReasonPaymentFailed, Fate: order.DropAll},
		{To: order.Completed, Fate: order.Drop, Alarm: true},
		{To: order.Cancelled, Fate: order.DropAll},
		{To: order.Cancelled, Fate: order.Drop},
	},

	order.ChargeUndecided: {
		{To: order.Pending, Fate: order.Retry},
		{To: order.Completed, Fate: order.Drop},
		{To: order.Cancelling, Fate: order.Drop},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.ChargeSpent: {
		{To: order.Cancelling, Reason: order.ReasonPaymentFailed, Fate: order.Drop, Void: true},
		{To: order.Completed, Fate: order.Drop},
		{To: order.Cancelling, Fate: order.Drop},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.ChargeRefused: {
		{To: order.Cancelling, Reason: order.ReasonPaymentFailed, Fate: order.Drop, Void: true},
		{To: order.Completed, Fate: order.Drop},
		{To: order.Cancelling, Fate: order.Drop},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.ChargeLate: {
		{To: order.Cancelling, Reason: order.ReasonDeadline, Fate: order.Drop, Void: true},
		{To: order.Completed, Fate: order.Drop},
		{To: order.Cancelling, Fate: order.Drop},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.ChargeConflict: {
		{To: order.Pending, Fate: order.Park, Alarm: true},
		{To: order.Completed, Fate: order.Drop},
		{To: order.Cancelling, Fate: order.Drop},
		{To: order.Cancelled, Fate: order.Drop},
	},

	// A PENDING or COMPLETED order has no VOID: one that turns up all the same is kept, and shown.
	order.VoidUndecided: {
		{To: order.Pending, Fate: order.Retry, Alarm: true},
		{To: order.Completed, Fate: order.Retry, Alarm: true},
		{To: order.Cancelling, Fate: order.Retry},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.VoidConflict: {
		{To: order.Pending, Fate: order.Retry, Alarm: true},
		{To: order.Completed, Fate: order.Retry, Alarm: true},
		{To: order.Cancelling, Fate: order.Retry, Alarm: true},
		{To: order.Cancelled, Fate: order.Drop},
	},
	order.VoidUnreadable: {
		{To: order.Pending, Fate: order.Rebuild, Alarm: true},
		{To: order.Completed, Fate: order.Rebuild, Alarm: true},
		{To: order.Cancelling, Fate: order.Rebuild, Alarm: true},
		{To: order.Cancelled, Fate: order.Drop},
	},

	order.OperatorSettles: {
		{To: order.Cancelled, Reason: order.ReasonOperator, Fate: order.DropAll},
		{To: order.Completed, Fate: order.Keep}, // refused
		{To: order.Cancelled, Fate: order.DropAll},
		{To: order.Cancelled, Fate: order.Keep},
	},
}

func TestApplyIsTheSagasTable(t *testing.T) {
	t.Parallel()
	if got, want := len(order.Events), len(matrix); got != want {
		t.Fatalf("got %d events, want the %d of the table", got, want)
	}
	for _, event := range order.Events {
		for i, status := range order.Statuses {
			got, err := order.Apply(status, event)
			if diff := cmp.Diff(matrix[event][i], got); diff != "" {
				t.Errorf("%s, order %s (-want +got):\n%s", event, status, diff)
			}
			refused := event == order.OperatorSettles && status == order.Completed
			if got := err != nil; got != refused {
				t.Errorf("%s, order %s: got error %v, want refused: %v", event, status, err, refused)
			}
		}
	}
}

func TestApplyRefusesToSettleACompletedOrderByHand(t *testing.T) {
	t.Parallel()
	_, err := order.Apply(order.Completed, order.OperatorSettles)
	var illegal *order.IllegalError
	if !errors.As(err, &illegal) {
		t.Fatalf("got error %v, want an *IllegalError", err)
	}
	if got, want := *illegal, (order.IllegalError{Status: order.Completed, Event: order.OperatorSettles}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := err.Error(), "operator settles is not possible for an order that is COMPLETED"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The rules that the whole saga rests on, said of every cell of the matrix at once.
func TestEveryTransitionKeepsTheRules(t *testing.T) {
	t.Parallel()
	facts := map[order.Event]bool{ // what the payment service has stored, and the one exemption
		order.PaymentCharged: true, order.PaymentDeclined: true, order.PaymentExpired: true,
		order.PaymentVoided: true, order.PaymentRefunded: true, order.OperatorSettles: true,
	}
	for _, event := range order.Events {
		for _, status := range order.Statuses {
			got, err := order.Apply(status, event)
			if err != nil {
				continue
			}
			changes := got.Changes(status)
			rule := func(kept bool, says string) {
				if !kept {
					t.Errorf("%s, order %s: got %+v, but %s", event, status, got, says)
				}
			}
			rule(!changes || status.Before(got.To), "a status never goes back")
			rule(!changes || !got.To.Settled() || facts[event], "no path leads from an error to a settled status")
			rule(!changes || !got.To.Settled() || got.Fate == order.DropAll, "a settled order has no command")
			rule(got.Void == (changes && got.To == order.Cancelling),
				"CANCELLING begins with its VOID, and nothing else does")
			rule((got.Reason != "") == (changes && status != order.Cancelling && got.To != order.Completed),
				"the reason is given once, when the order is given up")
		}
	}
}

func TestApplyPanicsOnAnEventThatDoesNotExist(t *testing.T) {
	t.Parallel()
	defer func() {
		if got, want := recover(), "order: unknown event 0"; got != want {
			t.Errorf("got panic %v, want %q", got, want)
		}
	}()
	_, _ = order.Apply(order.Pending, order.Event(0))
}

func TestEveryEventHasAName(t *testing.T) {
	t.Parallel()
	seen := map[string]order.Event{}
	for _, event := range order.Events {
		name := event.String()
		if other, twice := seen[name]; name == "" || twice {
			t.Errorf("event %d: got name %q, the same as event %d", event, name, other)
		}
		seen[name] = event
	}
}
