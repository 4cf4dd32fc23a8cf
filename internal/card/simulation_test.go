package card_test

import (
	"context"
	"errors"
	"testing"

	"hosho/internal/card"
	"hosho/internal/payment"
)

var simulation = card.Simulation{9999: card.Fail, 9997: card.Hang, 9996: card.Decline}

func request(amount int64) payment.Request {
	return payment.Request{ID: "0190b6a4-7c5e-7d3a-8f00-0123456789ab", CustomerID: "c-1", AmountMinor: amount}
}

// What hangs is the one question that is not answered in place; the others are answered as if one had waited.
func TestAllButWhatHangsIsAnsweredInPlace(t *testing.T) {
	t.Parallel()
	for _, amount := range []int64{500, 9999, 9997, 9996} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		want, wantErr := simulation.Authorise(ctx, request(amount))
		got, answered, err := simulation.AuthoriseNow(request(amount))
		if answered != (amount != 9997) || got != want || answered && !errors.Is(err, wantErr) {
			t.Errorf("%d: got %+v, %t, error %v, want %+v, error %v", amount, got, answered, err, want, wantErr)
		}
	}
}

// Each is asked twice: the first verdict stands.
func TestAnAmountIsAuthorisedAsItsEffectSays(t *testing.T) {
	t.Parallel()
	for amount, want := range map[int64]payment.Verdict{
		500:  {Approved: true},
		9996: {Reason: payment.InsufficientFunds},
	} {
		for range 2 {
			if got, err := simulation.Authorise(t.Context(), request(amount)); err != nil || got != want {
				t.Errorf("%d: got %+v, error %v, want %+v", amount, got, err, want)
			}
		}
	}
	if got, err := card.Simulation(nil).Authorise(t.Context(), request(9999)); err != nil || !got.Approved {
		t.Errorf("without effects: got %+v, error %v, want an approval", got, err)
	}
}

func TestAnErrorIsNoVerdict(t *testing.T) {
	t.Parallel()
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	for amount, isNoAnswer := range map[int64]bool{9999: false, 9997: true} {
		got, err := simulation.Authorise(ctx, request(amount))
		if err == nil || got != (payment.Verdict{}) || errors.Is(err, card.ErrNoAnswer) != isNoAnswer {
			t.Errorf("%d: got %+v, error %v, want an error alone (ErrNoAnswer: %t)", amount, got, err, isNoAnswer)
		}
	}
}

func TestNoEffectTouchesVoidsAndRefunds(t *testing.T) {
	t.Parallel()
	for _, amount := range []int64{500, 9999, 9997, 9996} {
		if got, err := simulation.Void(t.Context(), request(amount)); err != nil || !got.Approved {
			t.Errorf("void %d: got %+v, error %v, want an approval", amount, got, err)
		}
		if got, err := simulation.Refund(t.Context(), request(amount)); err != nil || !got.Approved {
			t.Errorf("refund %d: got %+v, error %v, want an approval", amount, got, err)
		}
	}
}
