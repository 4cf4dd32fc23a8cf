package dispatch

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"time"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/rpc"
)

// What a delivery came to where no answer of paymentd's says it. It stands in the outbox as last_code.
const (
	codeEcho       = order.EchoMismatch
	codeUnknown    = "UNKNOWN_OUTCOME"
	codeUnreadable = "UNREADABLE"
	codeSilent     = "NO_ANSWER"   // nothing came in time
	codeClock      = "CLOCK_AHEAD" // not sent: paymentd's clock would call it expired, and its order's own does not
)

// CodeDataLoss is what a delivery comes to that is answered DATA_LOSS, whatever its reason: a person must hear of it.
const CodeDataLoss = "DATA_LOSS"

var reasonWrongDatabase = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_WRONG_PAYMENTS_DATABASE)

// isUnimplemented reports whether a method is one that paymentd does not know.
func isUnimplemented(err error) bool { return status.Code(err) == codes.Unimplemented }

// meaning is what an error reply means to the relay: a hint for the pace, and never evidence that something was done
// or not. Only an OK with a durable outcome is that.
func meaning(code codes.Code, reason string) outbox.Result {
	switch code {
	case codes.AlreadyExists:
		if reason == rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_KEY_REUSED) {
			return outbox.Conflict
		}
		return outbox.Ambiguous
	case codes.Internal, codes.Unknown, codes.Canceled, codes.DataLoss:
		return outbox.Ambiguous // it answered, or died on this call: it may have committed, and it may be this order
	case codes.DeadlineExceeded:
		return outbox.TimedOut
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, // an outage, an overload, a collision
		codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented: // a configuration, or versions that differ
		return outbox.Blocked
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.OutOfRange:
		return outbox.Refused
	}
	return outbox.Ambiguous // OK without a body, and codes of the future
}

// refusal is an error reply, from a call of its own or from the stream.
type refusal struct {
	code       codes.Code
	reason     string
	message    string
	retryAfter *errdetails.RetryInfo
}

// LongestRetryAfter is how long a peer may ask the relay to wait. One that asks for more is asked again all the same.
const LongestRetryAfter = time.Minute

// apply notes in a report what a refusal means.
func (f refusal) apply(r *outbox.Report) {
	r.Result = meaning(f.code, f.reason)
	r.Code = f.shown(r.Result)
	r.Body = f.message
	r.RetryAfter = min(f.retryAfter.GetRetryDelay().AsDuration(), LongestRetryAfter)
	if f.code == codes.Aborted && r.Message.Claims == 1 {
		r.Immediate = true // it was rolled back: once more at once
	}
}

// blocks notes in a report that a refusal of the whole stream kept the command from its answer: whatever it says, it
// is not about this command.
func (f refusal) blocks(r *outbox.Report) {
	f.apply(r)
	r.Result, r.Code, r.Immediate = outbox.Blocked, f.shown(outbox.Blocked), false
}

// reasonForm is what a reason looks like (AIP-193). Anything else is not written down: it may not even be storable.
var reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)

// shown is the refusal's last_code. Only a conflict may be called one: an operator may settle by hand what is.
func (f refusal) shown(means outbox.Result) string {
	switch {
	case f.code == codes.OK:
		return codeUnknown // an error that says it is none
	case f.code == codes.DataLoss:
		return CodeDataLoss
	case reasonForm.MatchString(f.reason) &&
		(means == outbox.Conflict || !slices.Contains(order.ConflictCodes, f.reason)):
		return f.reason
	}
	return rpccode.Code(f.code).String()
}

var (
	// errStreamEnded says that a stream was over before a command could be put on it.
	errStreamEnded = errors.New("the stream ended")
	errSilentPeer  = errors.New("paymentd did not open the stream in time")
	// errUnjudged says that the orders database did not tell whether paymentd's database is the right one.
	errUnjudged = errors.New("cannot tell whether paymentd has the right payments database")
)

func refusalOf(err error) refusal {
	switch {
	case errors.Is(err, ErrStranger):
		return refusal{code: codes.Unavailable, reason: reasonWrongDatabase, message: err.Error()}
	case errors.Is(err, errStreamEnded), errors.Is(err, io.EOF), errors.Is(err, errSilentPeer),
		errors.Is(err, errUnjudged):
		return refusal{code: codes.Unavailable, message: err.Error()}
	}
	st := status.Convert(err)
	f := refusal{code: st.Code(), reason: rpc.Reason(err), message: st.Message()}
	for _, detail := range st.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			f.retryAfter = retry
		}
	}
	return f
}

// fromTransport reports whether the refusal was made up on the way: paymentd gives a reason for each of its own.
func (f refusal) fromTransport() bool { return f.reason == "" }

func refusalIn(e *paymentv1.PaymentError) refusal {
	f := refusal{code: codes.Code(e.GetCode()), reason: e.GetReason(), message: e.GetMessage()}
	if e.GetRetryDelay() != nil {
		f.retryAfter = &errdetails.RetryInfo{RetryDelay: e.GetRetryDelay()}
	}
	return f
}
