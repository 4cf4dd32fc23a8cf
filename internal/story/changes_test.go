package story

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

func changedTo(
	from, to relayv1.StatusChange_Status, seconds int64, cause, who string,
) *relayv1.StatusChange {
	return &relayv1.StatusChange{From: from, To: to, CreateTime: at(seconds), Cause: cause, Who: who}
}

// whats are what a history says, without who says it.
func whats(s Story) []string {
	var all []string
	for _, m := range s.History() {
		all = append(all, m.What)
	}
	return all
}

// What a release of before has not recorded is told as far as it follows, and no further.
func TestWhatNobodyRecordedIsImpliedOrLeftOut(t *testing.T) {
	t.Parallel()
	const (
		unknown    = relayv1.StatusChange_STATUS_UNSPECIFIED
		toPaid     = relayv1.StatusChange_STATUS_COMPLETED
		toGivenUp  = relayv1.StatusChange_STATUS_CANCELLING
		toEnd      = relayv1.StatusChange_STATUS_CANCELLED
		isGivenUp  = orderv1.Order_STATUS_CANCELLING
		isEnded    = orderv1.Order_STATUS_CANCELLED
		noCustomer = orderv1.Order_CANCEL_REASON_PAYMENT_FAILED
	)
	spent := attempted(5, 3, relayv1.Attempt_MEANING_AMBIGUOUS, 0)
	tests := []struct {
		name     string
		order    *orderv1.Order
		changes  []*relayv1.StatusChange
		attempts []*relayv1.Attempt
		payment  *paymentv1.GetPaymentResponse
		want     []string // changes of status, but the first
	}{
		{
			"given up for its attempts", told(isEnded, noCustomer, 7),
			[]*relayv1.StatusChange{changedTo(unknown, toEnd, 7, "", "")},
			[]*relayv1.Attempt{spent},
			nil,
			[]string{"CANCELLING (PAYMENT_FAILED): attempts spent", "CANCELLED (PAYMENT_FAILED)"},
		},
		{
			"CANCELLING, for its deadline", told(isGivenUp, orderv1.Order_CANCEL_REASON_DEADLINE, 7),
			[]*relayv1.StatusChange{changedTo(unknown, toGivenUp, 7, "", "")},
			[]*relayv1.Attempt{attempted(0, 6, relayv1.Attempt_MEANING_EXPIRED, 0)},
			nil,
			[]string{"CANCELLING (DEADLINE): deadline passed"},
		},
		{
			"cancelled once it was paid", told(isEnded, orderv1.Order_CANCEL_REASON_CUSTOMER, 7),
			[]*relayv1.StatusChange{
				changedTo(relayv1.StatusChange_STATUS_PENDING, toPaid, 3, "payment charged", ""),
				changedTo(unknown, toEnd, 7, "", ""),
			},
			nil, nil,
			[]string{
				"COMPLETED: payment charged", "CANCELLING (CUSTOMER): customer cancels, not later than this",
				"CANCELLED (CUSTOMER)",
			},
		},
		{
			"it may have been voided beside the saga", told(isEnded, noCustomer, 7),
			[]*relayv1.StatusChange{changedTo(unknown, toEnd, 7, "", "")},
			nil,
			&paymentv1.GetPaymentResponse{Payment: &paymentv1.Payment{
				Status: paymentv1.Payment_STATUS_VOIDED, CreateTime: at(2), UpdateTime: at(2),
			}},
			[]string{"CANCELLED (PAYMENT_FAILED): payment voided"},
		},
		{
			"by relays of two releases", told(isEnded, noCustomer, 7),
			[]*relayv1.StatusChange{
				changedTo(relayv1.StatusChange_STATUS_PENDING, toGivenUp, 4, "attempts spent", "host:7"),
				changedTo(unknown, toEnd, 7, "", ""),
			},
			[]*relayv1.Attempt{spent},
			nil,
			[]string{"CANCELLING (PAYMENT_FAILED): attempts spent", "CANCELLED (PAYMENT_FAILED)"},
		},
		{
			"a relay that tells no changes", told(isEnded, orderv1.Order_CANCEL_REASON_CUSTOMER, 7), nil, nil, nil,
			[]string{"CANCELLING (CUSTOMER): customer cancels, not later than this", "CANCELLED (CUSTOMER)"},
		},
	}
	for _, tt := range tests {
		s := Story{
			Order: tt.order, Payment: tt.payment,
			Delivery: &relayv1.ExplainOrderResponse{Changes: tt.changes, Attempts: tt.attempts},
		}
		var got []string
		for _, m := range s.History()[1:] {
			if m.Status != "" {
				got = append(got, m.What)
			}
			if m.Status == cancelling && !m.Implied && m.Who == "" {
				t.Errorf("%s: got %q as if it had been recorded", tt.name, m.What)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// That nobody of the order context asked for a void is said only where that is known.
func TestAVoidIsSaidToBeUnaskedOnlyWhereThatIsKnown(t *testing.T) {
	t.Parallel()
	const unasked = "REFUNDED: no VOID of this order asked for that"
	done := changedTo(
		relayv1.StatusChange_STATUS_PENDING, relayv1.StatusChange_STATUS_COMPLETED, 3, "payment charged", "")
	ask := func(change func(*Story)) Story {
		s := Story{
			Order: told(orderv1.Order_STATUS_COMPLETED, noReason, 3), Payment: paid(paymentv1.Payment_STATUS_REFUNDED),
			Delivery: &relayv1.ExplainOrderResponse{Changes: []*relayv1.StatusChange{done}},
		}
		change(&s)
		return s
	}
	void := &relayv1.ParkedCommand{Kind: relayv1.ParkedCommand_KIND_VOID}
	tests := []struct {
		name   string
		change func(*Story)
		want   bool
	}{
		{"COMPLETED all the time", func(*Story) {}, true},
		{"a VOID is in the outbox", func(s *Story) { s.Delivery.Commands = []*relayv1.ParkedCommand{void} }, false},
		{"the relay is away", func(s *Story) { s.Delivery = nil }, false},
		{"orderd is away", func(s *Story) { s.Order, s.Silent = nil, []Silence{{Service: Orderd}} }, false},
		{"attempts are left out", func(s *Story) {
			s.Delivery.Attempts = []*relayv1.Attempt{attempted(9, 1, relayv1.Attempt_MEANING_BLOCKED, time.Second)}
			s.Delivery.EarlierAttempts = 9
		}, false},
		{"it was cancelled while it was asked", func(s *Story) {
			s.Order = told(orderv1.Order_STATUS_CANCELLED, orderv1.Order_CANCEL_REASON_PAYMENT_FAILED, 7)
		}, false},
	}
	for _, tt := range tests {
		if got := slices.Contains(whats(ask(tt.change)), unasked); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A settled order whose payment is not what it must be needs a person, unless something was under way meanwhile.
func TestASettledOrderWhosePaymentIsWrongNeedsAPerson(t *testing.T) {
	t.Parallel()
	end := func(all ...relayv1.StatusChange_Status) *relayv1.ExplainOrderResponse {
		told := &relayv1.ExplainOrderResponse{}
		for _, to := range all {
			told.Changes = append(told.Changes, changedTo(0, to, 3, "", ""))
		}
		return told
	}
	const (
		toPaid = relayv1.StatusChange_STATUS_COMPLETED
		toEnd  = relayv1.StatusChange_STATUS_CANCELLED
	)
	done := told(orderv1.Order_STATUS_COMPLETED, noReason, 3)
	over := told(orderv1.Order_STATUS_CANCELLED, orderv1.Order_CANCEL_REASON_CUSTOMER, 3)
	tests := []struct {
		name string
		give Story
		want bool
	}{
		{"paid", Story{Order: done, Delivery: end(toPaid), Payment: paid(paymentv1.Payment_STATUS_CHARGED)}, false},
		{"refunded", Story{Order: done, Delivery: end(toPaid), Payment: paid(paymentv1.Payment_STATUS_REFUNDED)}, true},
		{"forgotten", Story{Order: done, Delivery: end(toPaid)}, true},
		{"just completed", Story{Order: done, Delivery: &relayv1.ExplainOrderResponse{}}, false},
		{"not asked", Story{Order: done, Delivery: end(toPaid), Silent: []Silence{{Service: Paymentd}}}, false},
		{"over", Story{Order: over, Delivery: end(toEnd), Payment: paid(paymentv1.Payment_STATUS_REFUNDED)}, false},
		{"held", Story{Order: over, Delivery: end(toEnd), Payment: paid(paymentv1.Payment_STATUS_CHARGED)}, true},
		{"free", Story{Order: over, Delivery: end(toEnd)}, true},
		{"voided", Story{Order: over, Delivery: end(toEnd), Payment: paid(paymentv1.Payment_STATUS_VOIDED)}, false},
		{
			"paid once, and voided",
			Story{Order: over, Delivery: end(toPaid, toEnd), Payment: paid(paymentv1.Payment_STATUS_VOIDED)},
			true,
		},
		{
			"paid once, and refunded",
			Story{Order: over, Delivery: end(toPaid, toEnd), Payment: paid(paymentv1.Payment_STATUS_REFUNDED)},
			false,
		},
	}
	for _, tt := range tests {
		next := tt.give.Next()
		if len(next) != 1 || (next[0].Tone == Bad) != tt.want || strings.Contains(next[0].What, "person") != tt.want {
			t.Errorf("%s: got %q, want a person: %v", tt.name, next, tt.want)
		}
	}
}
