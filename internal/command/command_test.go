package command_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/command"
	"hosho/internal/order"
)

var deadline = time.Date(2026, 11, 23, 16, 45, 0, 123_456_000, time.UTC)

var tea = order.Order{
	ID: "0190b6a4-7c5e-7d3a-8f00-0123456789ab", CustomerID: "alice", AmountMinor: 500, Currency: "JPY",
	DeadlineAt: deadline,
}

// commands are tea's, as the payment service must get them. Only the charge has a deadline: a void must be carried out
// however late.
var commands = map[order.Command]*paymentv1.PaymentCommand{
	order.Charge: {Command: &paymentv1.PaymentCommand_Charge{Charge: &paymentv1.ChargePaymentRequest{
		PaymentId: tea.ID, CustomerId: "alice", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 500},
		NotAfter: timestamppb.New(deadline),
	}}},
	order.Void: {Command: &paymentv1.PaymentCommand_Void{Void: &paymentv1.VoidPaymentRequest{
		PaymentId: tea.ID, CustomerId: "alice", Amount: &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 500},
	}}},
}

func encode(t *testing.T, kind order.Command) []byte {
	t.Helper()
	payload, err := command.Encode(kind, tea)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func TestDecodeAnswersWhatEncodeMade(t *testing.T) {
	t.Parallel()
	for kind, want := range commands {
		got, err := command.Decode(kind, tea.ID, encode(t, kind))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestWhatEncodeDidNotMakeIsRefused(t *testing.T) {
	t.Parallel()
	charge, void := encode(t, order.Charge), encode(t, order.Void)
	tests := map[string]struct {
		kind    order.Command
		orderID string
		payload []byte
	}{
		"a charge of another order": {order.Charge, "0190b6a4-7c5e-7d3a-8f00-000000000000", charge},
		"a void of another order":   {order.Void, "0190b6a4-7c5e-7d3a-8f00-000000000000", void},
		"a void as a charge":        {order.Charge, tea.ID, void},
		"a kind that there is not":  {"REFUND", tea.ID, void},
		"no bytes, as a charge":     {order.Charge, tea.ID, nil},
		"no bytes, as a void":       {order.Void, tea.ID, nil},
		"garbage as a charge":       {order.Charge, tea.ID, []byte("\xff\xff\xff")},
		"garbage as a void":         {order.Void, tea.ID, []byte("\xff\xff\xff")},
	}
	for name, test := range tests {
		if got, err := command.Decode(test.kind, test.orderID, test.payload); err == nil || got != nil {
			t.Errorf("%s: got %v, error %v, want an error alone", name, got, err)
		}
	}
}

// The relay may be older than the orderd that wrote the command.
func TestFieldsOfANewerVersionAreSentAlong(t *testing.T) {
	t.Parallel()
	newer := []byte{0x7a, 1, 'x'} // field 15
	for kind := range commands {
		payload := slices.Concat(encode(t, kind), newer)
		got, err := command.Decode(kind, tea.ID, payload)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		var request proto.Message = got.GetCharge()
		if kind == order.Void {
			request = got.GetVoid()
		}
		if sent, err := proto.Marshal(request); err != nil || !slices.Equal(sent, payload) {
			t.Errorf("%s: got %x sent (%v), want %x", kind, sent, err, payload)
		}
	}
}

// However many bytes of the end are lost, the rest is not taken for a command.
func TestACutPayloadIsRefused(t *testing.T) {
	t.Parallel()
	for kind := range commands {
		payload := encode(t, kind)
		for n := range payload {
			if got, err := command.Decode(kind, tea.ID, payload[:n]); err == nil {
				t.Errorf("%s, %d of %d bytes: got %v, want an error", kind, n, len(payload), got)
			}
		}
	}
}

func TestEncodeRefusesAKindThatThereIsNot(t *testing.T) {
	t.Parallel()
	if got, err := command.Encode("REFUND", tea); err == nil {
		t.Errorf("got %q, want an error", got)
	}
}
