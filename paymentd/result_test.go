package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
)

// toResult is the message of an answer.
func toResult(a answer) *paymentv1.PaymentResult {
	result := &paymentv1.PaymentResult{PaymentId: a.sentID, Kind: a.kind}
	if a.err != nil {
		result.Outcome = &paymentv1.PaymentResult_Error{Error: toPaymentError(a.err)}
	} else {
		result.Outcome = &paymentv1.PaymentResult_Payment{Payment: toPayment(a.payment)}
	}
	return result
}

// What is encoded by hand is what the messages are, whatever is in them, one after the other as well.
func TestResultsAreEncodedAsTheirMessages(t *testing.T) {
	t.Parallel()
	var got []byte
	want := &paymentv1.ProcessPaymentsResponse{}
	add := func(a answer) {
		var err error
		if got, err = appendResult(got, &a, toPaymentError(a.err)); err != nil {
			t.Fatal(err)
		}
		want.Results = append(want.Results, toResult(a))
	}
	for n, status := range payment.Statuses {
		for _, reason := range []payment.DeclineReason{"", payment.InsufficientFunds, payment.Expired} {
			id := uuid.NewString()
			add(answer{command: &command{sentID: strings.ToUpper(id), kind: kindVoid}, payment: payment.Payment{
				ID: id, CustomerID: strings.Repeat("x", 1+n*15), AmountMinor: storableAmount, Currency: "JPY",
				Status: status, DeclineReason: reason, UpdatedAt: time.Unix(0, 1),
				CreatedAt: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
			}})
		}
	}
	for _, err := range []error{errReplyLost, errNetworkBusy, paymentdb.ErrKeyReused, errNoCommand()} {
		add(answer{command: &command{sentID: strings.Repeat("茶", 1000), kind: kindCharge}, err: err})
		add(answer{command: &command{}, err: err})
	}
	read := &paymentv1.ProcessPaymentsResponse{}
	if err := proto.Unmarshal(got, read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read, protocmp.Transform()); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}
