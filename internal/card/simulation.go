package card

import (
	"context"
	"errors"

	"hosho/internal/payment"
)

// Effect is what the simulated network does when it is asked to authorise. The words are those of paymentd's flag
// --simulate.
type Effect string

// The effects. Nothing is taken by any of them.
const (
	Fail    Effect = "internal" // it fails
	Hang    Effect = "hang"     // there is no answer until its caller gives up
	Decline Effect = "decline"  // declined: insufficient funds
)

// Effects lists them.
var Effects = []Effect{Fail, Hang, Decline}

var errFail = errors.New("simulated failure")

// Simulation is a network that authorises by amount, in the minor unit of any currency: an amount without an effect is
// approved. The zero value approves all.
//
// It takes no money and remembers nothing: the same key has the same amount, and so gets the same verdict; there is
// nothing to void or to refund, and which keys were voided only the payments database knows. It returns at once, but
// for what hangs.
type Simulation map[int64]Effect

var _ Prompt = Simulation(nil)

// Authorise returns what the amount's effect is.
func (s Simulation) Authorise(ctx context.Context, r payment.Request) (payment.Verdict, error) {
	v, answered, err := s.AuthoriseNow(r)
	if !answered {
		<-ctx.Done()
		return payment.Verdict{}, ErrNoAnswer
	}
	return v, err
}

// AuthoriseNow answers all but what hangs.
func (s Simulation) AuthoriseNow(r payment.Request) (v payment.Verdict, answered bool, err error) {
	switch s[r.AmountMinor] {
	case Fail:
		return payment.Verdict{}, true, errFail
	case Hang:
		return payment.Verdict{}, false, nil
	case Decline:
		return payment.Verdict{Reason: payment.InsufficientFunds}, true, nil
	}
	return payment.Verdict{Approved: true}, true, nil
}

// Void is always approved: a void must always be able to answer.
func (Simulation) Void(context.Context, payment.Request) (payment.Verdict, error) {
	return payment.Verdict{Approved: true}, nil
}

// Refund is always approved, as Void is.
func (Simulation) Refund(context.Context, payment.Request) (payment.Verdict, error) {
	return payment.Verdict{Approved: true}, nil
}
