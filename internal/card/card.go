// Package card is the card network, as the payment service asks it, and the simulation of one.
//
// Its promise: a caller that got no answer asks again under the same key, and the network does nothing twice.
//
// paymentd asks before it writes, and only to authorise. That is right for a network without effects, such as the
// simulation, and for no other: doc/decisions/card-network.md says what must come first.
package card

import (
	"context"
	"errors"

	"hosho/internal/payment"
)

// ErrNoAnswer says that the network has not answered, and that asking once more at once would not help. It may have
// done what it was asked for, or may still do it.
var ErrNoAnswer = errors.New("no answer from the card network")

// Network moves money between accounts that are not ours. The request's ID is the key of all that is asked about one
// payment; its customer, amount and currency never change under a key.
//
// Each method returns the network's verdict. An error is no verdict and means unknown: the network may have done what
// it was asked for, or not, or may still do it. Who needs to know asks again, under the same key.
//
// An implementation guarantees, for each method:
//   - It is idempotent by key, for ever: asked again, it does nothing and returns the first verdict, a decline as well.
//   - It returns a verdict only when that is final. What is uncertain, or what it does not understand, is an error.
//   - It returns at the latest when ctx ends, with an error when there is no verdict by then.
//   - It may be called by many goroutines at once, also for the same key.
type Network interface {
	// Authorise takes the amount; there is no capture apart. After a Void of the key it declines.
	Authorise(ctx context.Context, r payment.Request) (payment.Verdict, error)
	// Void sees to it that nothing is taken under the key, whether or not the network has heard of it. It declines when
	// the amount was taken for good and only a Refund can give it back.
	Void(ctx context.Context, r payment.Request) (payment.Verdict, error)
	// Refund gives back the amount that was taken under the key. It declines when nothing was taken.
	Refund(ctx context.Context, r payment.Request) (payment.Verdict, error)
}

// Prompt is a Network that answers some questions without waiting for anything, so that they need no goroutine of their
// own.
type Prompt interface {
	Network
	// AuthoriseNow is Authorise where the network can answer in place, and says at once whether it can. Where it cannot
	// it has done nothing.
	AuthoriseNow(r payment.Request) (v payment.Verdict, answered bool, err error)
}
