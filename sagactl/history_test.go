package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
)

// at is a moment so many seconds after the order was placed.
func at(seconds int64) *timestamppb.Timestamp {
	return timestamppb.New(time.Unix(1_700_000_000+seconds, 0))
}

func yen(n int64) *moneyv1.Money { return &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: n} }

func told(status orderv1.Order_Status, reason orderv1.Order_CancelReason, updated int64) *orderv1.Order {
	return &orderv1.Order{
		CustomerId: "ada", Total: yen(600), Status: status, CancelReason: reason,
		CreateTime: at(0), UpdateTime: at(updated), DeadlineTime: at(900),
	}
}

// paid is a payment that was charged at 2 s and, where it is REFUNDED, given back at 6 s.
func paid(status paymentv1.Payment_Status) *paymentv1.GetPaymentResponse {
	reply := &paymentv1.GetPaymentResponse{
		Payment: &paymentv1.Payment{Amount: yen(600), Status: status, CreateTime: at(2), UpdateTime: at(2)},
		Ledger:  []*paymentv1.LedgerEntry{{Kind: paymentv1.LedgerEntry_KIND_CHARGE, Amount: yen(600), CreateTime: at(2)}},
	}
	if status == paymentv1.Payment_STATUS_REFUNDED {
		reply.Payment.UpdateTime = at(6)
		reply.Ledger = append(reply.Ledger, &paymentv1.LedgerEntry{Kind: paymentv1.LedgerEntry_KIND_REFUND, Amount: yen(600), CreateTime: at(6)})
	}
	return reply
}

func attempted(claim int32, seconds int64, means relayv1.Attempt_Meaning, wait time.Duration) *relayv1.Attempt {
	a := &relayv1.Attempt{
		Kind: relayv1.ParkedCommand_KIND_CHARGE, Claim: claim, CreateTime: at(seconds), Rpc: "ProcessPayments", Code: "CODE",
		Meaning: means, Latency: durationpb.New(1540 * time.Microsecond),
	}
	if wait > 0 {
		a.RetryDelay = durationpb.New(wait)
	}
	return a
}

func TestHistoryIsInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	const none = orderv1.Order_CANCEL_REASON_UNSPECIFIED
	charge := &relayv1.ParkedCommand{Kind: relayv1.ParkedCommand_KIND_CHARGE}
	tests := []struct {
		name string
		give answers
		want []string
	}{
		{
			"a clean order implies its charge",
			answers{order: told(orderv1.Order_STATUS_COMPLETED, none, 3), delivery: &relayv1.ExplainOrderResponse{}, payment: paid(paymentv1.Payment_STATUS_CHARGED)},
			[]string{"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY", "relay CHARGE 1: decided", "orderd COMPLETED"},
		},
		{
			"a refunded one implies its void, too",
			answers{
				order:    told(orderv1.Order_STATUS_CANCELLED, orderv1.Order_CANCEL_REASON_CUSTOMER, 7),
				delivery: &relayv1.ExplainOrderResponse{}, payment: paid(paymentv1.Payment_STATUS_REFUNDED),
			},
			[]string{
				"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY", "relay CHARGE 1: decided", "paymentd REFUNDED",
				"paymentd ledger: REFUND 600 JPY", "relay VOID 1: decided", "orderd CANCELLED (CUSTOMER)",
			},
		},
		{
			"attempts that are recorded imply nothing",
			answers{
				order: told(orderv1.Order_STATUS_COMPLETED, none, 5),
				delivery: &relayv1.ExplainOrderResponse{Attempts: []*relayv1.Attempt{
					attempted(1, 1, relayv1.Attempt_MEANING_AMBIGUOUS, 96*time.Millisecond), attempted(2, 4, relayv1.Attempt_MEANING_DECIDED, 0),
				}},
				payment: paid(paymentv1.Payment_STATUS_CHARGED),
			},
			[]string{
				"orderd PENDING", "relay CHARGE 1: ProcessPayments -> CODE in 1.5ms, ambiguous, again in 96ms", "paymentd CHARGED",
				"paymentd ledger: CHARGE 600 JPY", "relay CHARGE 2: ProcessPayments -> CODE in 1.5ms, decided", "orderd COMPLETED",
			},
		},
		{
			"a charge that is under way implies nothing",
			answers{
				order:    told(orderv1.Order_STATUS_PENDING, none, 0),
				delivery: &relayv1.ExplainOrderResponse{Commands: []*relayv1.ParkedCommand{charge}}, payment: paid(paymentv1.Payment_STATUS_CHARGED),
			},
			[]string{"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY"},
		},
		{
			"a decision by hand implies nothing",
			answers{
				order:    told(orderv1.Order_STATUS_CANCELLED, orderv1.Order_CANCEL_REASON_OPERATOR, 9),
				delivery: &relayv1.ExplainOrderResponse{Decision: &relayv1.OperatorDecision{Operator: "ops", Reason: "taken", CreateTime: at(9)}},
				payment:  paid(paymentv1.Payment_STATUS_CHARGED),
			},
			[]string{
				"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY", "relay settled by hand, by ops: taken",
				"orderd CANCELLED (OPERATOR)",
			},
		},
		{
			"a relay that cannot be asked implies nothing",
			answers{order: told(orderv1.Order_STATUS_COMPLETED, none, 3), payment: paid(paymentv1.Payment_STATUS_CHARGED)},
			[]string{"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY", "orderd COMPLETED"},
		},
		{
			"an order that is given up",
			answers{
				order:    told(orderv1.Order_STATUS_CANCELLING, orderv1.Order_CANCEL_REASON_PAYMENT_FAILED, 2),
				delivery: &relayv1.ExplainOrderResponse{Attempts: []*relayv1.Attempt{attempted(7, 1, relayv1.Attempt_MEANING_REFUSED, 0)}, EarlierAttempts: 6},
			},
			[]string{
				"orderd PENDING", "relay 6 earlier attempts are left out",
				"relay CHARGE 7: ProcessPayments -> CODE in 1.5ms, refused, not tried again by itself", "orderd CANCELLING (PAYMENT_FAILED)",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, m := range tt.give.history() {
				what, _, _ := strings.Cut(m.What, ": accepted")
				got = append(got, m.From+" "+what)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNextSaysWhoActs(t *testing.T) {
	t.Parallel()
	pending := told(orderv1.Order_STATUS_PENDING, orderv1.Order_CANCEL_REASON_UNSPECIFIED, 0)
	future := timestamppb.New(time.Now().Add(time.Hour))
	tests := []struct {
		name string
		give *relayv1.ParkedCommand
		want string
	}{
		{"due", &relayv1.ParkedCommand{NextAttemptTime: at(0)}, "it is due since"},
		{"waiting", &relayv1.ParkedCommand{NextAttemptTime: future}, "it is tried again at"},
		{"leased", &relayv1.ParkedCommand{LeaseEndTime: future}, "a relay is at it, until"},
		{"parked", &relayv1.ParkedCommand{ParkTime: at(0), DeadlineTime: future}, "it is voided at"},
		{"stuck", &relayv1.ParkedCommand{NextAttemptTime: future, Why: relayv1.ParkedCommand_WHY_TRIED_IN_VAIN}, "it needs a person: tried in vain"},
	}
	for _, tt := range tests {
		a := answers{order: pending, delivery: &relayv1.ExplainOrderResponse{Commands: []*relayv1.ParkedCommand{tt.give}}}
		if got := strings.Join(a.next(), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
