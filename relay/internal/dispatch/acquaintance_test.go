package dispatch

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "hosho/gen/payment/v1"
)

// clocks is a paymentd that is known, whose clock was ahead of the orders database's when both were asked, an hour ago:
// each answer took twice as long as a reading may be off.
func clocks(ahead, within time.Duration) (k *known, now time.Time) {
	asked := time.Now().Add(-time.Hour)
	said := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	k = &known{
		Told:   Told{Database: "x", Clock: Read(said.Add(within+ahead), asked, asked.Add(2*within))},
		orders: Read(said.Add(within), asked, asked.Add(2*within)),
	}
	return k, k.orders.Said.Add(time.Hour) // what the orders database's clock says now
}

func TestWhenAChargeIsHeldBackForItsClock(t *testing.T) {
	t.Parallel()
	const off = 100 * time.Millisecond
	for _, tt := range []struct {
		name        string
		ahead, left time.Duration // how far paymentd's clock is ahead; the time that the order has left
		want        bool
	}{
		{"the clocks agree, and there is time", 0, time.Minute, false},
		{"the clocks agree, and there is none", 0, -time.Second, false}, // the truth: it is expired
		{"ahead, and past the deadline", time.Hour, time.Minute, true},
		{"ahead by a little more than what is left", time.Minute + 3*off, time.Minute, true},
		{"ahead, and not past it", time.Minute, time.Hour, false},
		{"ahead, and the order is too late by its own clock", time.Hour, -time.Minute, false},
		{"ahead by no more than the reading may be off", off / 2, off / 4, false},
		{"behind", -time.Hour, time.Minute, false},
	} {
		k, now := clocks(tt.ahead, off)
		c := &paymentv1.ChargePaymentRequest{NotAfter: timestamppb.New(now.Add(tt.left))}
		at := k.orders.At.Add(time.Hour)
		if got := k.expires(c, at); got != tt.want {
			t.Errorf("%s: got held back %t, want %t", tt.name, got, tt.want)
		}
		if k.expires(&paymentv1.ChargePaymentRequest{}, at) || k.expires(nil, at) {
			t.Errorf("%s: got held back what has no deadline", tt.name)
		}
		k.Clock = Reading{}
		if k.expires(c, at) {
			t.Errorf("%s: got held back for a clock that nobody told", tt.name)
		}
	}
}

func TestHowFarAClockIsAheadIsToldForCertain(t *testing.T) {
	t.Parallel()
	const off = time.Second
	for ahead, want := range map[time.Duration]time.Duration{
		0: 0, 2 * off: 0, -2 * off: 0, time.Minute: time.Minute - 2*off, -time.Minute: -time.Minute + 2*off,
	} {
		k, _ := clocks(ahead, off)
		if got := k.Clock.Ahead(k.orders); got != want {
			t.Errorf("ahead by %v: got %v, want %v", ahead, got, want)
		}
	}
}

func TestAnAnswerShowsThatAClockWasSetAhead(t *testing.T) {
	t.Parallel()
	k, now := clocks(0, 10*time.Millisecond)
	at := k.Clock.At.Add(time.Hour)
	for ahead, want := range map[time.Duration]bool{
		0: false, ClockTolerance: false, -time.Hour: false, ClockTolerance + time.Second: true, time.Hour: true,
	} {
		p := &paymentv1.Payment{UpdateTime: timestamppb.New(now.Add(ahead))}
		if got := k.jumped(p, at); got != want {
			t.Errorf("written %v ahead: got jumped %t, want %t", ahead, got, want)
		}
	}
	if k.jumped(nil, at) || k.jumped(&paymentv1.Payment{}, at) {
		t.Error("got a jump from an answer without a time")
	}
}
