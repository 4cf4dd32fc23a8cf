package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

var update = flag.Bool("update", false, "write what explain prints into testdata")

// Every way that an order can go, as explain tells it, in text and as JSON: testdata/explain has it.
func TestExplainTellsEveryWay(t *testing.T) {
	t.Parallel()
	for name, s := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.OrderID = "01a218f1-b808-7ba8-8d46-86ef166de994"
			text := printed(t, func(screen *terminal.Terminal) error {
				printStory(screen, s)
				return nil
			})
			golden(t, filepath.Join("testdata", "explain", name+".txt"), text)
			golden(t, filepath.Join("testdata", "explain", name+".json"), timeline(t, printed(t,
				func(screen *terminal.Terminal) error { return s.Encode(screen) })))
		})
	}
}

// ways are the stories of orders for 600 JPY of ada. Times are seconds after the order was placed.
func ways() map[string]story.Story {
	const (
		noReason = orderv1.Order_CANCEL_REASON_UNSPECIFIED
		customer = orderv1.Order_CANCEL_REASON_CUSTOMER
		failed   = orderv1.Order_CANCEL_REASON_PAYMENT_FAILED
		deadline = orderv1.Order_CANCEL_REASON_DEADLINE

		pending    = "PENDING"
		completed  = "COMPLETED"
		cancelling = "CANCELLING"
		cancelled  = "CANCELLED"
	)
	paid := changed(2.1, pending, completed, "payment charged", "")
	byCustomer := func(at float64, from string) *relayv1.StatusChange {
		return changed(at, from, cancelling, "customer cancels", "orderd")
	}
	byRelay := func(at float64, from, to, cause string) *relayv1.StatusChange {
		return changed(at, from, to, cause, "host:7")
	}
	return map[string]story.Story{
		"completed": {
			Order:    ordered(completed, noReason, 2.1),
			Delivery: delivered(paid),
			Payment:  payment(paymentv1.Payment_STATUS_CHARGED, 2, 2),
		},
		"declined": {
			Order:    ordered(cancelled, orderv1.Order_CANCEL_REASON_PAYMENT_DECLINED, 2.1),
			Delivery: delivered(byRelay(2.1, pending, cancelled, "payment declined")),
			Payment:  payment(paymentv1.Payment_STATUS_DECLINED, 2, 2),
		},
		"attempts-spent": {
			Order: ordered(cancelled, failed, 4.1),
			Delivery: with(delivered(byRelay(3, pending, cancelling, "attempts spent"),
				byRelay(4.1, cancelling, cancelled, "payment voided")),
				traced(attempt(1, 1, "INTERNAL", relayv1.Attempt_MEANING_AMBIGUOUS, time.Second)),
				traced(attempt(2, 2.9, "INTERNAL", relayv1.Attempt_MEANING_AMBIGUOUS, 0))),
			Payment: payment(paymentv1.Payment_STATUS_VOIDED, 4, 4),
		},
		"refused": {
			Order: ordered(cancelled, failed, 4.1),
			Delivery: with(delivered(byRelay(3, pending, cancelling, "charge refused"),
				byRelay(4.1, cancelling, cancelled, "payment voided")),
				attempt(1, 2.9, "INVALID_FIELDS", relayv1.Attempt_MEANING_REFUSED, 0)),
			Payment: payment(paymentv1.Payment_STATUS_VOIDED, 4, 4),
		},
		"deadline": {
			Order: ordered(cancelled, deadline, 902),
			Delivery: with(delivered(byRelay(900, pending, cancelling, "deadline passed"),
				byRelay(902, cancelling, cancelled, "payment refunded")),
				attempt(1, 1, "REPLY_LOST", relayv1.Attempt_MEANING_BLOCKED, 899*time.Second),
				&relayv1.Attempt{
					Kind: relayv1.ParkedCommand_KIND_CHARGE, Claim: 1, CreateTime: at(899.9), Relay: "host:7",
					Code: "EXPIRED", Meaning: relayv1.Attempt_MEANING_EXPIRED,
				}),
			Payment: payment(paymentv1.Payment_STATUS_REFUNDED, 0.9, 901),
		},
		"customer-cancels-before": {
			Order: ordered(cancelled, customer, 3.1),
			Delivery: delivered(byCustomer(1, pending),
				byRelay(3.1, cancelling, cancelled, "payment voided")),
			Payment: payment(paymentv1.Payment_STATUS_VOIDED, 3, 3),
		},
		"customer-cancels-after": {
			Order: ordered(cancelled, customer, 6.1),
			Delivery: delivered(paid, byCustomer(5, completed),
				byRelay(6.1, cancelling, cancelled, "payment refunded")),
			Payment: payment(paymentv1.Payment_STATUS_REFUNDED, 2, 6),
		},
		"refund-under-way": {
			Order: ordered(cancelling, customer, 5),
			Delivery: &relayv1.ExplainOrderResponse{
				Changes: []*relayv1.StatusChange{paid, byCustomer(5, completed)},
				Commands: []*relayv1.ParkedCommand{{
					Kind: relayv1.ParkedCommand_KIND_VOID, CreateTime: at(5), NextAttemptTime: at(5),
				}},
			},
			Payment: payment(paymentv1.Payment_STATUS_CHARGED, 2, 2),
		},
		"not-refunded": {
			Order: ordered(cancelling, customer, 5),
			Delivery: &relayv1.ExplainOrderResponse{
				Changes: []*relayv1.StatusChange{paid, byCustomer(5, completed)},
				Attempts: []*relayv1.Attempt{
					ofVoid(attempt(1, 6, "NOT_REFUNDED", relayv1.Attempt_MEANING_DECIDED, time.Minute)),
				},
				Commands: []*relayv1.ParkedCommand{{
					Kind: relayv1.ParkedCommand_KIND_VOID, CreateTime: at(5), NextAttemptTime: at(66),
					LastCode: "NOT_REFUNDED", Why: relayv1.ParkedCommand_WHY_CONFLICT,
				}},
			},
			Payment: payment(paymentv1.Payment_STATUS_VOIDED, 6, 6),
		},
		"expired-early": {
			Order: ordered(pending, noReason, 0),
			Delivery: with(&relayv1.ExplainOrderResponse{Commands: []*relayv1.ParkedCommand{{
				Kind: relayv1.ParkedCommand_KIND_CHARGE, CreateTime: at(0), ParkTime: at(2), DeadlineTime: at(900),
				LastCode: "EXPIRED_EARLY", Why: relayv1.ParkedCommand_WHY_PARKED,
			}}}, attempt(1, 2, "EXPIRED_EARLY", relayv1.Attempt_MEANING_DECIDED, 0)),
			Payment: payment(paymentv1.Payment_STATUS_DECLINED, 2, 2),
		},
		"conflict": {
			Order: ordered(pending, noReason, 0),
			Delivery: with(&relayv1.ExplainOrderResponse{Commands: []*relayv1.ParkedCommand{{
				Kind: relayv1.ParkedCommand_KIND_CHARGE, CreateTime: at(0), ParkTime: at(2), DeadlineTime: at(900),
				LastCode: "KEY_REUSED", Why: relayv1.ParkedCommand_WHY_PARKED,
			}}}, attempt(1, 2, "KEY_REUSED", relayv1.Attempt_MEANING_CONFLICT, 0)),
			Payment: ofEve(payment(paymentv1.Payment_STATUS_CHARGED, -9, -9)),
		},
		"retried-by-hand": {
			Order: ordered(completed, noReason, 9),
			Delivery: &relayv1.ExplainOrderResponse{
				Changes: []*relayv1.StatusChange{changed(9, pending, completed, "payment charged", "")},
				Attempts: []*relayv1.Attempt{
					attempt(1, 1, "DATABASE_FULL", relayv1.Attempt_MEANING_BLOCKED, time.Minute),
				},
				Retries: []*relayv1.OperatorRetry{{
					Kind: relayv1.ParkedCommand_KIND_CHARGE, Operator: "ada", Reason: "the disk has room again",
					CreateTime: at(8),
				}},
			},
			Payment: payment(paymentv1.Payment_STATUS_CHARGED, 8.9, 8.9),
		},
		"settled-by-hand": {
			Order: ordered(cancelled, orderv1.Order_CANCEL_REASON_OPERATOR, 60),
			Delivery: &relayv1.ExplainOrderResponse{
				Attempts: []*relayv1.Attempt{attempt(1, 2, "KEY_REUSED", relayv1.Attempt_MEANING_CONFLICT, 0)},
				Changes: []*relayv1.StatusChange{
					changed(60, pending, cancelled, "operator settles", "ops@example.com"),
				},
				Decision: &relayv1.OperatorDecision{
					Operator: "ops@example.com", Reason: "the key is another shop's", CreateTime: at(60),
				},
			},
			Payment: ofEve(payment(paymentv1.Payment_STATUS_CHARGED, -9, -9)),
		},
		"voided-beside-the-saga-while-completed": {
			Order:    ordered(completed, noReason, 2.1),
			Delivery: delivered(paid),
			Payment:  payment(paymentv1.Payment_STATUS_REFUNDED, 2, 8),
		},
		"voided-beside-the-saga-before-the-charge": {
			Order:    ordered(cancelled, failed, 2.1),
			Delivery: delivered(byRelay(2.1, pending, cancelled, "payment voided")),
			Payment:  payment(paymentv1.Payment_STATUS_VOIDED, 1, 1),
		},
		"voided-beside-the-saga-and-cancelled-later": {
			Order: ordered(cancelled, customer, 9.1),
			Delivery: delivered(paid, byCustomer(9, completed),
				byRelay(9.1, cancelling, cancelled, "payment refunded")),
			Payment: payment(paymentv1.Payment_STATUS_REFUNDED, 2, 8),
		},
		"payment-forgotten": {
			Order:    ordered(completed, noReason, 2.1),
			Delivery: delivered(paid),
		},
		"no-such-order": {Payment: payment(paymentv1.Payment_STATUS_CHARGED, 2, 2)},
		"of-an-older-release": {
			Order:    ordered(cancelled, customer, 6.1),
			Delivery: delivered(paid, changed(6.1, "UNSPECIFIED", cancelled, "", "")),
			Payment:  payment(paymentv1.Payment_STATUS_REFUNDED, 2, 6),
		},
	}
}

func at(seconds float64) *timestamppb.Timestamp {
	return timestamppb.New(time.Unix(1_700_000_000, int64(seconds*1e9)))
}

func tea() *moneyv1.Money { return &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 600} }

func ordered(status string, reason orderv1.Order_CancelReason, updated float64) *orderv1.Order {
	return &orderv1.Order{
		CustomerId: "ada", Total: tea(), Status: orderv1.Order_Status(orderv1.Order_Status_value["STATUS_"+status]),
		CancelReason: reason, CreateTime: at(0), UpdateTime: at(updated), DeadlineTime: at(900),
	}
}

func delivered(changes ...*relayv1.StatusChange) *relayv1.ExplainOrderResponse {
	return &relayv1.ExplainOrderResponse{Changes: changes}
}

func with(r *relayv1.ExplainOrderResponse, attempts ...*relayv1.Attempt) *relayv1.ExplainOrderResponse {
	r.Attempts = attempts
	return r
}

func changed(when float64, from, to, cause, who string) *relayv1.StatusChange {
	status := func(s string) relayv1.StatusChange_Status {
		return relayv1.StatusChange_Status(relayv1.StatusChange_Status_value["STATUS_"+s])
	}
	return &relayv1.StatusChange{CreateTime: at(when), From: status(from), To: status(to), Cause: cause, Who: who}
}

func attempt(
	claim int32, when float64, code string, means relayv1.Attempt_Meaning, again time.Duration,
) *relayv1.Attempt {
	a := &relayv1.Attempt{
		Kind: relayv1.ParkedCommand_KIND_CHARGE, Claim: claim, CreateTime: at(when), Relay: "host:7",
		Rpc: "ProcessPayments", Code: code, Meaning: means, Latency: durationpb.New(1500 * time.Microsecond),
	}
	if again > 0 {
		a.RetryDelay = durationpb.New(again)
	}
	return a
}

// traced has an attempt be of a trace: that of its order.
func traced(a *relayv1.Attempt) *relayv1.Attempt {
	a.TraceId = "4bf92f3577b34da6a3ce929d0e0e4736"
	return a
}

func ofVoid(a *relayv1.Attempt) *relayv1.Attempt {
	a.Kind = relayv1.ParkedCommand_KIND_VOID
	return a
}

func payment(status paymentv1.Payment_Status, created, updated float64) *paymentv1.GetPaymentResponse {
	reply := &paymentv1.GetPaymentResponse{Payment: &paymentv1.Payment{
		CustomerId: "ada", Amount: tea(), Status: status, CreateTime: at(created), UpdateTime: at(updated),
	}}
	enter := func(kind paymentv1.LedgerEntry_Kind, when float64) {
		reply.Ledger = append(reply.Ledger, &paymentv1.LedgerEntry{Kind: kind, Amount: tea(), CreateTime: at(when)})
	}
	switch status {
	case paymentv1.Payment_STATUS_DECLINED:
		reply.Payment.DeclineReason = paymentv1.Payment_DECLINE_REASON_INSUFFICIENT_FUNDS
	case paymentv1.Payment_STATUS_REFUNDED:
		enter(paymentv1.LedgerEntry_KIND_CHARGE, created)
		enter(paymentv1.LedgerEntry_KIND_REFUND, updated)
	case paymentv1.Payment_STATUS_CHARGED:
		enter(paymentv1.LedgerEntry_KIND_CHARGE, created)
	}
	return reply
}

func ofEve(p *paymentv1.GetPaymentResponse) *paymentv1.GetPaymentResponse {
	p.Payment.CustomerId = "eve"
	return p
}

// printed is what is written to a file that is no terminal.
func printed(t *testing.T, write func(*terminal.Terminal) error) []byte {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := write(terminal.New(file, nil)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// timeline is what the JSON makes of the answers: those are as protojson writes them, with spaces by chance.
func timeline(t *testing.T, text []byte) []byte {
	t.Helper()
	var told struct {
		TraceID  string            `json:"trace_id"`
		Timeline []json.RawMessage `json:"timeline"`
		Next     []string          `json:"next,omitempty"`
	}
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	var out bytes.Buffer
	if told.TraceID != "" {
		out.WriteString("trace: " + told.TraceID + "\n")
	}
	for _, moment := range told.Timeline {
		out.Write(append(moment, '\n'))
	}
	for _, next := range told.Next {
		out.WriteString("next: " + next + "\n")
	}
	return out.Bytes()
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), go test -update writes it:\n%s", file, diff)
	}
}
