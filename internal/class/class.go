// Package class is what an error of paymentd's means, wherever it is read: the classes of doc/rules.md.
//
// Its promise: paymentd, which publishes what is about an order, and the relay, which spends attempts on it, tell one
// error from another by this one table. None of it is evidence that something was done or not: class A is not here.
package class

import (
	"google.golang.org/grpc/codes"

	errorv1 "hosho/gen/error/v1"
	"hosho/internal/rpc"
)

// Class is what an error means for the command that it answers.
type Class uint8

// The classes.
const (
	Ambiguous Class = iota + 1 // it may have been done or not, and it may be this order's fault
	TimedOut                   // Ambiguous where others were answered, else Blocked
	Blocked                    // it is not this order's fault
	Deferred                   // Blocked, by a paymentd that is well and asks for patience
	Refused                    // it will not get better by trying
	Conflict                   // the key belongs to another payment
)

// String returns the class as doc/rules.md calls it.
func (c Class) String() string {
	return [...]string{"", "B", "B, B+ while the breaker is open", "B+", "B+, deferred", "C", "D"}[c]
}

// The reasons that say more than their codes.
var (
	keyReused  = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_KEY_REUSED)
	cardSilent = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_CARD_NETWORK_TIMEOUT)
	overloaded = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_OVERLOADED)
	stopping   = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_STOPPING)
)

// Of returns the class of an error, by its google.rpc.Code and its reason.
func Of(code int32, reason string) Class {
	switch codes.Code(code) {
	case codes.AlreadyExists:
		if reason == keyReused {
			return Conflict
		}
		return Ambiguous
	case codes.Internal, codes.Unknown, codes.Canceled, codes.DataLoss:
		return Ambiguous // it answered, or died on this call: it may have committed, and it may be this order
	case codes.DeadlineExceeded:
		if reason == cardSilent {
			return Ambiguous // paymentd is well: that is an answer, about this order
		}
		return TimedOut
	case codes.ResourceExhausted:
		if reason == overloaded {
			return Deferred
		}
		return Blocked // no room
	case codes.Unavailable:
		if reason == stopping {
			return Deferred
		}
		return Blocked // an outage
	case codes.Aborted, // a collision
		codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented: // a configuration, or versions that differ
		return Blocked
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.OutOfRange:
		return Refused
	}
	return Ambiguous // OK without a body, and codes of the future
}

// IsAboutOrder reports whether an error says something about its order where no call is waiting: over a broker it is
// then published, and spends an attempt. All else is a matter of time: class B+, and that a caller's time was over or
// that he went, of which an event has none.
func IsAboutOrder(code int32, reason string) bool {
	switch Of(code, reason) {
	case TimedOut, Blocked, Deferred:
		return false
	}
	return codes.Code(code) != codes.Canceled
}
