package dispatch

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/outbox"
	"hosho/internal/slow"
)

// decision is a result in which everything is set that a decision may have.
func decision(id string) *paymentv1.PaymentResult {
	return &paymentv1.PaymentResult{
		PaymentId: id, Kind: paymentv1.PaymentResult_KIND_CHARGE,
		Outcome: &paymentv1.PaymentResult_Payment{Payment: &paymentv1.Payment{
			PaymentId: id, CustomerId: "alice", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: math.MaxInt64},
			Status:        paymentv1.Payment_STATUS_DECLINED,
			DeclineReason: paymentv1.Payment_DECLINE_REASON_EXPIRED,
			CreateTime:    &timestamppb.Timestamp{Seconds: 1 << 33, Nanos: 999_999_999},
			UpdateTime:    &timestamppb.Timestamp{Seconds: 1, Nanos: 2},
		}},
	}
}

// replies are some, and whether they are read by hand.
func replies(t *testing.T) (texts [][]byte, byHand []bool) {
	t.Helper()
	error, other, early := decision("1"), decision("茶"), decision("1")
	error.Outcome = &paymentv1.PaymentResult_Error{Error: &paymentv1.PaymentError{Code: 14, Reason: "STOPPING"}}
	early.GetPayment().UpdateTime.Seconds = -1
	for _, r := range []struct {
		results []*paymentv1.PaymentResult
		byHand  bool
	}{
		{nil, true},
		{[]*paymentv1.PaymentResult{decision("1"), decision("2"), decision("3")}, true},
		{[]*paymentv1.PaymentResult{decision("1"), error}, false},
		{[]*paymentv1.PaymentResult{decision("1"), other}, false},
		{[]*paymentv1.PaymentResult{early}, false},
		{[]*paymentv1.PaymentResult{{PaymentId: "no outcome"}}, false},
	} {
		text, err := proto.Marshal(&paymentv1.ProcessPaymentsResponse{Results: r.results})
		if err != nil {
			t.Fatal(err)
		}
		texts, byHand = append(texts, text), append(byHand, r.byHand)
	}
	return texts, byHand
}

func TestDecisionsAreReadByHand(t *testing.T) {
	t.Parallel()
	texts, byHand := replies(t)
	for i, text := range texts {
		if _, ok := results(string(text)); ok != byHand[i] {
			t.Errorf("reply %d: got it read by hand %t, want %t", i, ok, byHand[i])
		}
	}
}

// Whatever comes, and whatever is done to it: what is read by hand is what the library reads.
func TestResultsAreReadAsTheirMessages(t *testing.T) {
	t.Parallel()
	texts, _ := replies(t)
	for _, text := range texts {
		wantRead(t, text)
		wantRead(t, slices.Concat(text, text))
		for at := range text {
			wantRead(t, text[:at])
			wantRead(t, slices.Delete(slices.Clone(text), at, at+1))
			for b := 0; b < 256; b += slow.Times(15, 1) { // eighteen values, with 0 and 0xff
				changed := slices.Clone(text)
				changed[at] = byte(b)
				wantRead(t, changed)
			}
		}
	}
}

func wantRead(t *testing.T, text []byte) {
	t.Helper()
	got, ok := results(string(text))
	if !ok {
		return
	}
	want := &paymentv1.ProcessPaymentsResponse{}
	if err := proto.Unmarshal(text, want); err != nil {
		t.Fatalf("%x: read by hand, but %v", text, err)
	}
	if !proto.Equal(want, &paymentv1.ProcessPaymentsResponse{Results: got}) {
		t.Fatalf("%x: got %v, want %v", text, got, want)
	}
}

// A request is the messages of its commands, as they stand in the outbox, each naming the database that is meant: also
// where it names another one, or has what this release does not know.
func TestARequestIsItsCommands(t *testing.T) {
	t.Parallel()
	charge := &paymentv1.ChargePaymentRequest{PaymentId: "1", CustomerId: "alice", PaymentsDatabase: "another"}
	void := &paymentv1.VoidPaymentRequest{PaymentId: "2", Amount: &moneyv1.Money{AmountMinor: 1}}
	newer := []byte{0x7a, 1, 'x'} // field 15
	charge.ProtoReflect().SetUnknown(newer)
	void.ProtoReflect().SetUnknown(newer)
	bulk := []*delivery{message(t, "CHARGE", charge), message(t, "VOID", void), message(t, "CHARGE", charge)}
	bulk[0].traceparent, bulk[1].traceparent = "00-1-2-01", strings.Repeat("t", 300)
	for _, database := range []string{"", "meant", string(make([]byte, 300))} {
		want := &paymentv1.ProcessPaymentsRequest{}
		for _, c := range []*paymentv1.PaymentCommand{
			{Command: &paymentv1.PaymentCommand_Charge{Charge: charge}, Traceparent: bulk[0].traceparent},
			{Command: &paymentv1.PaymentCommand_Void{Void: void}, Traceparent: bulk[1].traceparent},
			{Command: &paymentv1.PaymentCommand_Charge{Charge: charge}},
		} {
			c = proto.CloneOf(c)
			if database != "" {
				mean(c, database)
			}
			want.Commands = append(want.Commands, c)
		}
		text, err := newWire().Marshal(encode(bulk, database))
		if err != nil {
			t.Fatal(err)
		}
		got := &paymentv1.ProcessPaymentsRequest{}
		if err := proto.Unmarshal(text.Materialize(), got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("meaning %.8q: request (-want +got):\n%s", database, diff)
		}
	}
}

func message(t *testing.T, kind string, m proto.Message) *delivery {
	t.Helper()
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return &delivery{message: outbox.Message{Kind: kind, Payload: payload}}
}
