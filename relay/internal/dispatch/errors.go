package dispatch

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "hosho/gen/error/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/class"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/rpc"
)

// What a delivery came to where no answer of paymentd's says it. It stands in the outbox as last_code.
const (
	codeEcho       = order.EchoMismatch
	codeUnknown    = "UNKNOWN_OUTCOME"
	codeUnreadable = "UNREADABLE"
	codeSilent     = "NO_ANSWER"    // nothing came in time
	codeClock      = "CLOCK_AHEAD"  // not sent: paymentd's clock would call it expired, and its order's own does not
	codeEnded      = "STREAM_ENDED" // as planned, before the answer came
)

// CodeDataLoss is what a delivery comes to that is answered DATA_LOSS, whatever its reason: a person must hear of it.
const CodeDataLoss = "DATA_LOSS"

// The reasons of paymentd's that the relay acts on.
var (
	reasonWrongDatabase = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_WRONG_PAYMENTS_DATABASE)
	// reasonPassed and reasonGone are about this relay's own call: paymentd noticed its end before the relay did.
	reasonPassed = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_DEADLINE_PASSED)
	reasonGone   = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_CALL_CANCELLED)
)

// isUnimplemented reports whether a method is one that paymentd does not know.
func isUnimplemented(err error) bool { return status.Code(err) == codes.Unimplemented }

// meanings are what the classes are to the outbox.
var meanings = [...]outbox.Result{
	class.Ambiguous: outbox.Ambiguous,
	class.TimedOut:  outbox.TimedOut,
	class.Blocked:   outbox.Blocked,
	class.Deferred:  outbox.Deferred,
	class.Refused:   outbox.Refused,
	class.Conflict:  outbox.Conflict,
}

// meaning is what an error reply means to the relay: a hint for the pace, and never evidence that something was done
// or not. Only an OK with a durable outcome is that.
func meaning(code codes.Code, reason string) outbox.Result {
	return meanings[class.Of(int32(code), reason)]
}

// refusal is an error reply, from a call of its own or from the stream.
type refusal struct {
	code       codes.Code
	reason     string
	message    string
	retryAfter *errdetails.RetryInfo
	planned    bool // it is the end of a stream that ended in order, and no error
}

// LongestRetryAfter is how long a peer may ask the relay to wait. One that asks for more is asked again all the same.
const LongestRetryAfter = time.Minute

// apply notes in a report what a refusal means.
func (f refusal) apply(r *outbox.Report) {
	r.Result = meaning(f.code, f.reason)
	if f.planned {
		r.Result = outbox.Deferred
	}
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
	if r.Result != outbox.Deferred {
		r.Result = outbox.Blocked
	}
	r.Code, r.Immediate = f.shown(r.Result), false
}

// reasonForm is what a reason looks like (AIP-193). Anything else is not written down: it may not even be storable.
var reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)

// shown is the refusal's last_code. Only a conflict may be called one, since an operator may settle by hand what is;
// and only what was deferred is called so, since that is no failure.
func (f refusal) shown(means outbox.Result) string {
	switch {
	case f.planned:
		return codeEnded
	case f.code == codes.OK:
		return codeUnknown // an error that says it is none
	case f.code == codes.DataLoss:
		return CodeDataLoss
	case reasonForm.MatchString(f.reason) &&
		(means == outbox.Conflict || !slices.Contains(order.ConflictCodes, f.reason)) &&
		(means == outbox.Deferred || !slices.Contains(order.DeferredCodes, f.reason)):
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
	case errors.Is(err, io.EOF):
		return refusal{code: codes.Unavailable, message: "the stream ended in order", planned: true}
	case errors.Is(err, errStreamEnded), errors.Is(err, errSilentPeer), errors.Is(err, errUnjudged):
		return refusal{code: codes.Unavailable, message: err.Error()}
	}
	st := status.Convert(err)
	f := refusal{code: st.Code(), reason: rpc.Reason(err), message: st.Message()}
	f.planned = f.code == codes.Unavailable && strings.Contains(f.message, wasSentAway)
	for _, detail := range st.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			f.retryAfter = retry
		}
	}
	return f
}

// wasSentAway is in what grpc-go makes of a connection that its server closed when it had asked everybody to leave it:
// it was old, or the server was about to stop. A server that dies asks nobody.
const wasSentAway = "received prior goaway: code: NO_ERROR"

// fromTransport reports whether the refusal was made up on the way: paymentd gives a reason for each of its own. That
// this relay's own time was over, or that it went, is no answer either, whoever of the two says so first.
func (f refusal) fromTransport() bool {
	return f.reason == "" || f.reason == reasonPassed || f.reason == reasonGone
}

// silent reports whether a call of its own got no answer in its time.
func (f refusal) silent() bool { return f.fromTransport() && f.code == codes.DeadlineExceeded }

// hangs reports whether it was the time that was over, here or at the card network.
func (f refusal) hangs() bool { return f.code == codes.DeadlineExceeded }

// Refused notes in a report what paymentd has said, by an event, of a command that it did not decide.
func Refused(r *outbox.Report, code int32, reason, message string) {
	refusal{code: codes.Code(code), reason: reason, message: message}.apply(r)
	r.Immediate = false
}

func codeOf(e *paymentv1.PaymentError) codes.Code { return codes.Code(e.GetCode()) }

func refusalIn(e *paymentv1.PaymentError) refusal {
	f := refusal{code: codeOf(e), reason: e.GetReason(), message: e.GetMessage()}
	if e.GetRetryDelay() != nil {
		f.retryAfter = &errdetails.RetryInfo{RetryDelay: e.GetRetryDelay()}
	}
	return f
}
