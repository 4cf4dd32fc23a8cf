package story

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
	entry := func(kind paymentv1.LedgerEntry_Kind, seconds int64) *paymentv1.LedgerEntry {
		return &paymentv1.LedgerEntry{Kind: kind, Amount: yen(600), CreateTime: at(seconds)}
	}
	reply := &paymentv1.GetPaymentResponse{
		Payment: &paymentv1.Payment{
			CustomerId: "ada", Amount: yen(600), Status: status, CreateTime: at(2), UpdateTime: at(2),
		},
		Ledger: []*paymentv1.LedgerEntry{entry(paymentv1.LedgerEntry_KIND_CHARGE, 2)},
	}
	if status == paymentv1.Payment_STATUS_REFUNDED {
		reply.Payment.UpdateTime = at(6)
		reply.Ledger = append(reply.Ledger, entry(paymentv1.LedgerEntry_KIND_REFUND, 6))
	}
	return reply
}

func attempted(claim int32, seconds int64, means relayv1.Attempt_Meaning, wait time.Duration) *relayv1.Attempt {
	code := "CODE"
	if means == relayv1.Attempt_MEANING_DECIDED {
		code = "OK"
	}
	a := &relayv1.Attempt{
		Kind: relayv1.ParkedCommand_KIND_CHARGE, Claim: claim, CreateTime: at(seconds),
		Rpc: "ProcessPayments", Code: code, Meaning: means, Latency: durationpb.New(1540 * time.Microsecond),
	}
	if wait > 0 {
		a.RetryDelay = durationpb.New(wait)
	}
	return a
}

// heard makes an attempt of what was heard, and had taken nobody knows how long.
func heard(a *relayv1.Attempt) *relayv1.Attempt {
	a.Latency = durationpb.New(0)
	return a
}

const noReason = orderv1.Order_CANCEL_REASON_UNSPECIFIED

func TestHistoryIsInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	charge := &relayv1.ParkedCommand{Kind: relayv1.ParkedCommand_KIND_CHARGE}
	tests := []struct {
		name string
		give Story
		want []string
	}{
		{
			"a clean order implies its charge",
			Story{
				Order:    told(orderv1.Order_STATUS_COMPLETED, noReason, 3),
				Delivery: &relayv1.ExplainOrderResponse{},
				Payment:  paid(paymentv1.Payment_STATUS_CHARGED),
			},
			[]string{
				"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY", "relay CHARGE 1: decided",
				"relay COMPLETED: payment charged",
			},
		},
		{
			"a refunded one implies its void, too",
			Story{
				Order:    told(orderv1.Order_STATUS_CANCELLED, orderv1.Order_CANCEL_REASON_CUSTOMER, 7),
				Delivery: &relayv1.ExplainOrderResponse{},
				Payment:  paid(paymentv1.Payment_STATUS_REFUNDED),
			},
			[]string{
				"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY", "relay CHARGE 1: decided",
				"orderd CANCELLING (CUSTOMER): customer cancels, not later than this",
				"paymentd REFUNDED", "paymentd ledger: REFUND 600 JPY", "relay VOID 1: decided",
				"relay CANCELLED (CUSTOMER): payment refunded",
			},
		},
		{
			"attempts that are recorded imply nothing",
			Story{
				Order: told(orderv1.Order_STATUS_COMPLETED, noReason, 5),
				Delivery: &relayv1.ExplainOrderResponse{Attempts: []*relayv1.Attempt{
					attempted(1, 1, relayv1.Attempt_MEANING_AMBIGUOUS, 96*time.Millisecond),
					attempted(2, 4, relayv1.Attempt_MEANING_DECIDED, 0),
				}},
				Payment: paid(paymentv1.Payment_STATUS_CHARGED),
			},
			[]string{
				"orderd PENDING", "relay CHARGE 1: ProcessPayments -> CODE in 1.5ms, ambiguous, again in 96ms",
				"paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY",
				"relay CHARGE 2: ProcessPayments -> OK in 1.5ms, decided", "relay COMPLETED: payment charged",
			},
		},
		{
			"what a broker has is sent again unless it is settled before, and nobody knows what a refusal took",
			Story{Order: told(orderv1.Order_STATUS_PENDING, noReason, 0), Delivery: &relayv1.ExplainOrderResponse{
				Commands: []*relayv1.ParkedCommand{charge},
				Attempts: []*relayv1.Attempt{
					attempted(1, 1, relayv1.Attempt_MEANING_HANDED_OVER, 30*time.Second),
					heard(attempted(1, 2, relayv1.Attempt_MEANING_AMBIGUOUS, 100*time.Microsecond)),
				},
			}},
			[]string{
				"orderd PENDING",
				"relay CHARGE 1: ProcessPayments -> CODE in 1.5ms, handed over, again in 30s unless settled",
				"relay CHARGE 1: ProcessPayments -> CODE, ambiguous, again at once",
			},
		},
		{
			"a charge that is under way implies nothing",
			Story{
				Order:    told(orderv1.Order_STATUS_PENDING, noReason, 0),
				Delivery: &relayv1.ExplainOrderResponse{Commands: []*relayv1.ParkedCommand{charge}},
				Payment:  paid(paymentv1.Payment_STATUS_CHARGED),
			},
			[]string{"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY"},
		},
		{
			"a decision by hand implies nothing",
			Story{
				Order: told(orderv1.Order_STATUS_CANCELLED, orderv1.Order_CANCEL_REASON_OPERATOR, 9),
				Delivery: &relayv1.ExplainOrderResponse{
					Decision: &relayv1.OperatorDecision{Operator: "ops", Reason: "taken", CreateTime: at(9)},
				},
				Payment: paid(paymentv1.Payment_STATUS_CHARGED),
			},
			[]string{
				"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY",
				"relay settled by hand, by ops: taken", "relay CANCELLED (OPERATOR): operator settles",
			},
		},
		{
			"a relay that cannot be asked implies nothing",
			Story{
				Order:   told(orderv1.Order_STATUS_COMPLETED, noReason, 3),
				Payment: paid(paymentv1.Payment_STATUS_CHARGED),
			},
			[]string{"orderd PENDING", "paymentd CHARGED", "paymentd ledger: CHARGE 600 JPY", "orderd COMPLETED"},
		},
		{
			"an order that is given up",
			Story{
				Order: told(orderv1.Order_STATUS_CANCELLING, orderv1.Order_CANCEL_REASON_PAYMENT_FAILED, 2),
				Delivery: &relayv1.ExplainOrderResponse{
					Attempts:        []*relayv1.Attempt{attempted(7, 1, relayv1.Attempt_MEANING_REFUSED, 0)},
					EarlierAttempts: 6,
				},
			},
			[]string{
				"orderd PENDING", "relay earlier attempts are left out: 6",
				"relay CHARGE 7: ProcessPayments -> CODE in 1.5ms, refused, not tried again by itself",
				"relay CANCELLING (PAYMENT_FAILED): charge refused",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, m := range tt.give.History() {
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
	future := timestamppb.New(time.Now().Add(time.Hour))
	stuck, unwanted := relayv1.ParkedCommand_WHY_TRIED_IN_VAIN, relayv1.ParkedCommand_WHY_UNWANTED
	tests := []struct {
		name string
		give *relayv1.ParkedCommand
		want string
		tone Tone
	}{
		{"due", &relayv1.ParkedCommand{NextAttemptTime: at(0)}, "it is due since", Waiting},
		{"waiting", &relayv1.ParkedCommand{NextAttemptTime: future}, "it is tried again at", Waiting},
		{"over a broker", &relayv1.ParkedCommand{NextAttemptTime: future, Sends: 1}, "handed over once, and", Waiting},
		{"again", &relayv1.ParkedCommand{NextAttemptTime: future, Sends: 3}, "is to be handed over again at", Waiting},
		{"due again", &relayv1.ParkedCommand{NextAttemptTime: at(0), Sends: 3}, "is due again since", Waiting},
		{"leased", &relayv1.ParkedCommand{LeaseEndTime: future}, "a relay is at it, until", Waiting},
		{"parked", &relayv1.ParkedCommand{ParkTime: at(0), DeadlineTime: future}, "it is voided at", Waiting},
		{"stuck", &relayv1.ParkedCommand{NextAttemptTime: future, Why: stuck}, "a person: tried in vain", Bad},
		{"no order", &relayv1.ParkedCommand{ParkTime: at(0), DeadlineTime: future, Why: unwanted}, "nothing;", Bad},
		{"unwanted", &relayv1.ParkedCommand{NextAttemptTime: future, Why: unwanted}, "it is not sent, and", Bad},
	}
	for _, tt := range tests {
		s := Story{
			Order:    told(orderv1.Order_STATUS_PENDING, noReason, 0),
			Delivery: &relayv1.ExplainOrderResponse{Commands: []*relayv1.ParkedCommand{tt.give}},
		}
		got := s.Next()
		if len(got) != 1 || !strings.Contains(got[0].What, tt.want) || got[0].Tone != tt.tone {
			t.Errorf("%s: got %q, want one step, %q, in the tone %q", tt.name, got, tt.want, tt.tone)
		}
	}
	s := Story{Order: told(orderv1.Order_STATUS_PENDING, noReason, 0), Delivery: &relayv1.ExplainOrderResponse{}}
	if got := s.Next(); len(got) != 1 || !strings.Contains(got[0].What, "reconcile --repair") {
		t.Errorf("no command: got %q, want what puts it back", got)
	}
}

// What is held is what the ledger says, charges less refunds; a payment that nobody could be asked for is not said to
// be none; and one that belongs to somebody else is not taken for the order's.
func TestPaymentLineTellsWhatIsHeld(t *testing.T) {
	t.Parallel()
	of := func(customer string) *orderv1.Order {
		o := told(orderv1.Order_STATUS_PENDING, noReason, 0)
		o.CustomerId = customer
		return o
	}
	tests := []struct {
		give Story
		want string
	}{
		{Story{Payment: paid(paymentv1.Payment_STATUS_CHARGED)}, "CHARGED, held: 600 JPY; it is of ada, 600 JPY"},
		{Story{Payment: paid(paymentv1.Payment_STATUS_REFUNDED)}, "REFUNDED, held: 0 JPY; it is of ada, 600 JPY"},
		{
			Story{Payment: paid(paymentv1.Payment_STATUS_CHARGED), Silent: []Silence{{Service: Orderd}}},
			"CHARGED, held: 600 JPY",
		},
		{Story{}, "none yet"},
		{Story{Silent: []Silence{{Service: Paymentd}}}, "not known"},
		{Story{Silent: []Silence{{Service: Relay}}}, "none yet"},
		{Story{Order: of("ada"), Payment: paid(paymentv1.Payment_STATUS_CHARGED)}, "CHARGED, held: 600 JPY"},
		{
			Story{Order: of("eve"), Payment: paid(paymentv1.Payment_STATUS_CHARGED)},
			"CHARGED, held: 600 JPY; not this order's: it is of ada, 600 JPY",
		},
	}
	for _, tt := range tests {
		if got := tt.give.PaymentLine(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// A restore of the orders database leaves payments without orders. That there is no such order is said, and who must
// act; nothing of it is said while orderd could not be asked.
func TestAKeyWithoutAnOrderIsSaidToBeOne(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		give       Story
		line, next string
		tone       Tone
	}{
		{
			"money is held",
			Story{Payment: paid(paymentv1.Payment_STATUS_CHARGED)},
			"no such order", "it needs a person: sagactl reconcile has the call", Bad,
		},
		{
			"it was given back",
			Story{Payment: paid(paymentv1.Payment_STATUS_REFUNDED)},
			"no such order", "no money is held", Neutral,
		},
		{
			"the relay has another database",
			Story{Delivery: &relayv1.ExplainOrderResponse{}},
			"no such order, says orderd; the relay knows it", "nothing is in the outbox", Neutral,
		},
	}
	for _, tt := range tests {
		next := tt.give.Next()
		if len(next) != 1 || !strings.Contains(next[0].What, tt.next) || next[0].Tone != tt.tone {
			t.Errorf("%s: got %q, want one step, %q, in the tone %q", tt.name, next, tt.next, tt.tone)
		}
		if got := tt.give.OrderLine(); !strings.Contains(got, tt.line) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.line)
		}
		tt.give.Silent = []Silence{{Service: Orderd}}
		if got := tt.give.OrderLine(); strings.Contains(got, "no such order") {
			t.Errorf("%s, orderd is away: got %q, want nothing said of it", tt.name, got)
		}
	}
}
