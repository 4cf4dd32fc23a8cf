package order_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/order"
)

// The states of an order.
var (
	pending        = order.State{Status: order.Pending}
	completed      = order.State{Status: order.Completed}
	cancelling     = order.State{Status: order.Cancelling}
	afterCompleted = order.State{Status: order.Cancelling, AfterCompleted: true}
	cancelled      = order.State{Status: order.Cancelled}
	byHand         = order.State{Status: order.Cancelled, ByHand: true}
)

// matrix is the table of doc/rules.md, written out by hand: for each event what it does to an order that is PENDING,
// COMPLETED, CANCELLING, CANCELLING after COMPLETED, CANCELLED, and CANCELLED by hand.
var matrix = map[order.Event][6]order.Transition{
	order.CustomerCancels: {
		{To: cancelling, Reason: order.ReasonCustomer, Fate: order.Keep, Void: true},
		{To: afterCompleted, Reason: order.ReasonCustomer, Fate: order.Keep, Void: true},
		{To: cancelling, Fate: order.Keep},
		{To: afterCompleted, Fate: order.Keep},
		{To: cancelled, Fate: order.Keep},
		{To: byHand, Fate: order.Keep},
	},

	order.PaymentCharged: {
		{To: completed, Fate: order.DropAll},
		{To: completed, Fate: order.Drop},
		{To: cancelling, Fate: order.Drop},
		{To: afterCompleted, Fate: order.Drop},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop, Alarm: true},
	},
	order.PaymentDeclined: {
		{To: cancelled, Reason: order.ReasonPaymentDeclined, Fate: order.DropAll},
		{To: completed, Fate: order.Drop, Alarm: true},
		{To: cancelled, Fate: order.DropAll},
		{To: afterCompleted, Fate: order.RetrySlowly, Alarm: true},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop},
	},
	order.PaymentExpired: {
		{To: cancelled, Reason: order.ReasonDeadline, Fate: order.DropAll},
		{To: completed, Fate: order.Drop, Alarm: true},
		{To: cancelled, Fate: order.DropAll},
		{To: afterCompleted, Fate: order.RetrySlowly, Alarm: true},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop},
	},
	order.PaymentExpiredEarly: {
		{To: pending, Fate: order.Park, Alarm: true},
		{To: completed, Fate: order.Drop, Alarm: true},
		{To: cancelled, Fate: order.DropAll},
		{To: afterCompleted, Fate: order.RetrySlowly, Alarm: true},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop},
	},
	order.PaymentVoided: {
		{To: cancelled, Reason: order.ReasonPaymentFailed, Fate: order.DropAll},
		{To: completed, Fate: order.Drop, Alarm: true},
		{To: cancelled, Fate: order.DropAll},
		{To: afterCompleted, Fate: order.RetrySlowly, Alarm: true},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop},
	},
	order.PaymentRefunded: {
		{To: cancelled, Reason: order.ReasonPaymentFailed, Fate: order.DropAll},
		{To: completed, Fate: order.Drop, Alarm: true},
		{To: cancelled, Fate: order.DropAll},
		{To: cancelled, Fate: order.DropAll},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop},
	},

	order.ChargeUndecided: {
		{To: pending, Fate: order.Retry},
		{To: completed, Fate: order.Drop},
		{To: cancelling, Fate: order.Drop},
		{To: afterCompleted, Fate: order.Drop},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop, Alarm: true},
	},
	order.ChargeSpent: {
		{To: cancelling, Reason: order.ReasonPaymentFailed, Fate: order.Drop, Void: true},
		{To: completed, Fate: order.Drop},
		{To: cancelling, Fate: order.Drop},
		{To: afterCompleted, Fate: order.Drop},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop, Alarm: true},
	},
	order.ChargeRefused: {
		{To: cancelling, Reason: order.ReasonPaymentFailed, Fate: order.Drop, Void: true},
		{To: completed, Fate: order.Drop},
		{To: cancelling, Fate: order.Drop},
		{To: afterCompleted, Fate: order.Drop},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop, Alarm: true},
	},
	order.ChargeLate: {
		{To: cancelling, Reason: order.ReasonDeadline, Fate: order.Drop, Void: true},
		{To: completed, Fate: order.Drop},
		{To: cancelling, Fate: order.Drop},
		{To: afterCompleted, Fate: order.Drop},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop, Alarm: true},
	},
	order.ChargeConflict: {
		{To: pending, Fate: order.Park, Alarm: true},
		{To: completed, Fate: order.Drop},
		{To: cancelling, Fate: order.Drop},
		{To: afterCompleted, Fate: order.Drop},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop, Alarm: true},
	},

	// A PENDING or COMPLETED order has no VOID: one that turns up all the same is kept, and shown.
	order.VoidUndecided: {
		{To: pending, Fate: order.Retry, Alarm: true},
		{To: completed, Fate: order.Retry, Alarm: true},
		{To: cancelling, Fate: order.Retry},
		{To: afterCompleted, Fate: order.Retry},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop},
	},
	order.VoidConflict: {
		{To: pending, Fate: order.RetrySlowly, Alarm: true},
		{To: completed, Fate: order.RetrySlowly, Alarm: true},
		{To: cancelling, Fate: order.RetrySlowly, Alarm: true},
		{To: afterCompleted, Fate: order.RetrySlowly, Alarm: true},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop},
	},
	order.VoidUnreadable: {
		{To: pending, Fate: order.Rebuild, Alarm: true},
		{To: completed, Fate: order.Rebuild, Alarm: true},
		{To: cancelling, Fate: order.Rebuild, Alarm: true},
		{To: afterCompleted, Fate: order.Rebuild, Alarm: true},
		{To: cancelled, Fate: order.Drop},
		{To: byHand, Fate: order.Drop},
	},

	order.OperatorSettles: {
		{To: byHand, Reason: order.ReasonOperator, Fate: order.DropAll},
		{To: completed, Fate: order.Keep}, // refused
		{To: byHand, Fate: order.DropAll},
		{To: byHand, Fate: order.DropAll},
		{To: cancelled, Fate: order.Keep},
		{To: byHand, Fate: order.Keep},
	},
}

func TestApplyIsTheSagasTable(t *testing.T) {
	t.Parallel()
	if got, want := len(order.Events), len(matrix); got != want {
		t.Fatalf("got %d events, want the %d of the table", got, want)
	}
	for _, event := range order.Events {
		for i, state := range order.States {
			got, err := order.Apply(state, event)
			if diff := cmp.Diff(matrix[event][i], got); diff != "" {
				t.Errorf("%s, order %s (-want +got):\n%s", event, state, diff)
			}
			refused := event == order.OperatorSettles && state == completed
			if got := err != nil; got != refused {
				t.Errorf("%s, order %s: got error %v, want refused: %v", event, state, err, refused)
			}
		}
	}
}

func TestApplyRefusesToSettleACompletedOrderByHand(t *testing.T) {
	t.Parallel()
	_, err := order.Apply(completed, order.OperatorSettles)
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
	for _, event := range order.Events {
		for _, state := range order.States {
			got, err := order.Apply(state, event)
			if err != nil {
				continue
			}
			changes := got.Changes(state)
			from, to := state.Status, got.To.Status
			rule := func(kept bool, says string) {
				if !kept {
					t.Errorf("%s, order %s: got %+v, but %s", event, state, got, says)
				}
			}
			rule(slices.Contains(order.States, got.To), "there is no such state")
			rule(!changes || from.Before(to), "a status never goes back, and a state never changes within one")
			rule(!changes || !to.Settled() || event.Fact() || event == order.OperatorSettles,
				"no path leads from an error to a settled status")
			rule(!changes || !to.Settled() || got.Fate == order.DropAll, "a settled order has no command")
			rule(got.Void == (changes && to == order.Cancelling),
				"CANCELLING begins with its VOID, and nothing else does")
			rule((got.Reason != "") == (changes && from != order.Cancelling && to != order.Completed),
				"the reason is given once, when the order is given up")
			rule(state != afterCompleted || !changes || event == order.PaymentRefunded || got.To == byHand,
				"what was COMPLETED is refunded, or settled by a person")
			rule(got.To != byHand || state == byHand || event == order.OperatorSettles, "only a person settles by hand")
			rule(got.Fate != order.RetrySlowly || got.Alarm, "what does not mend itself calls for a person")
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
	_, _ = order.Apply(pending, order.Event(0))
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
