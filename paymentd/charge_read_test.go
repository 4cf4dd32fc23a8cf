package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/slow"
)

// requestsToRead are some: charges as relays send them, what is not to be decided, what is of a newer client.
func requestsToRead(t *testing.T) (texts [][]byte) {
	t.Helper()
	usual, faulty, newer := newCharge(500), newCharge(-1), newCharge(900)
	usual.NotAfter = &timestamppb.Timestamp{Seconds: 1 << 31, Nanos: 5}
	usual.PaymentsDatabase = newID()
	faulty.PaymentId, faulty.CustomerId, faulty.Amount.CurrencyCode = "?", "茶", ""
	faulty.NotAfter = &timestamppb.Timestamp{Seconds: -1, Nanos: -1}
	newer.ProtoReflect().SetUnknown([]byte{0x7a, 1, 'x'}) // field 15
	upper := newCharge(1)
	upper.PaymentId, upper.Amount = strings.ToUpper(upper.GetPaymentId()), nil
	traced := requestOf(usual, voidOf(usual))
	traced.Commands[0].Traceparent, traced.Commands[1].Traceparent = callers, "茶"
	for _, m := range []proto.Message{
		requestOf(usual), requestOf(newer, usual), requestOf(faulty), requestOf(usual, voidOf(usual), upper),
		traced,
		&paymentv1.ProcessPaymentsRequest{Commands: []*paymentv1.PaymentCommand{{}}},
		&paymentv1.ProcessPaymentsRequest{},
	} {
		text, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

func TestUsualChargesAreReadByHand(t *testing.T) {
	t.Parallel()
	charge := newCharge(500)
	charge.NotAfter, charge.PaymentsDatabase = timestamppb.Now(), newID()
	for _, c := range []*paymentv1.ChargePaymentRequest{charge, newCharge(1), {}} {
		text, err := proto.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var reader chargeReader
		for range 2 { // one after the other
			if !reader.charge.Read(string(text)) || !proto.Equal(&reader.charge.Request, c) {
				t.Errorf("got %v, want %v read by hand", &reader.charge.Request, c)
			}
		}
	}
}

// Whatever comes, and whatever is done to it: the commands are those of the messages.
func TestCommandsAreReadAsTheirMessages(t *testing.T) {
	t.Parallel()
	for _, text := range requestsToRead(t) {
		wantCommands(t, text)
		wantCommands(t, slices.Concat(text, text))
		for at := range text {
			wantCommands(t, text[:at])
			wantCommands(t, slices.Delete(slices.Clone(text), at, at+1))
			for b := 0; b < 256; b += slow.Times(15, 1) { // eighteen values, with 0 and 0xff
				changed := slices.Clone(text)
				changed[at] = byte(b)
				wantCommands(t, changed)
			}
		}
	}
	amount, err := proto.Marshal(&paymentv1.ChargePaymentRequest{Amount: &moneyv1.Money{AmountMinor: 1}})
	if err != nil {
		t.Fatal(err)
	}
	charge := slices.Concat([]byte{0x0a, byte(2 * len(amount))}, amount, amount) // its amount twice
	wantCommands(t, slices.Concat([]byte{0x0a, byte(len(charge))}, charge))
	wantCommands(t, slices.Concat([]byte{0x8a, 0x00, byte(len(charge))}, charge)) // a long tag
	wantCommands(t, slices.Concat([]byte{0x08, 1, 0x0a, byte(len(charge))}, charge))
}

func wantCommands(t *testing.T, text []byte) {
	t.Helper()
	var request paymentv1.ProcessPaymentsRequest
	unreadable := proto.Unmarshal(text, &request)
	got, err := fromBytes(text)
	if (err != nil) != (unreadable != nil) || err == nil && len(got) != len(request.GetCommands()) {
		t.Fatalf("%x: got %d commands, error %v; want %d, error %v",
			text, len(got), err, len(request.GetCommands()), unreadable)
	}
	for i, m := range request.GetCommands() {
		if err == nil && shownCommand(got[i]) != shownCommand(fromCommand(m)) {
			t.Fatalf("%x: got %s, want %s", text, shownCommand(got[i]), shownCommand(fromCommand(m)))
		}
	}
}

func shownCommand(c command) string {
	return fmt.Sprintf("%s %q %q %+v, refused %v, doubt %v, under %q",
		c.kind, c.sentID, c.meant, c.asked, c.refused, c.doubt, c.traceparent)
}
