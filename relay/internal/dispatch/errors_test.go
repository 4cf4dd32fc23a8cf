package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "hosho/gen/error/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/internal/rpc"
)

// classes is the table of doc/rules.md, of what an error reply means, written out by hand. A and D stand beside it: A
// needs an OK, D the reason KEY_REUSED.
var classes = map[codes.Code]outbox.Result{
	codes.OK:                 outbox.Ambiguous, // in the place of an error: it decides nothing
	codes.Internal:           outbox.Ambiguous,
	codes.Unknown:            outbox.Ambiguous,
	codes.Canceled:           outbox.Ambiguous,
	codes.DataLoss:           outbox.Ambiguous,
	codes.AlreadyExists:      outbox.Ambiguous,
	codes.DeadlineExceeded:   outbox.TimedOut,
	codes.Unavailable:        outbox.Blocked,
	codes.ResourceExhausted:  outbox.Blocked,
	codes.Aborted:            outbox.Blocked,
	codes.PermissionDenied:   outbox.Blocked,
	codes.Unauthenticated:    outbox.Blocked,
	codes.Unimplemented:      outbox.Blocked,
	codes.InvalidArgument:    outbox.Refused,
	codes.NotFound:           outbox.Refused,
	codes.FailedPrecondition: outbox.Refused,
	codes.OutOfRange:         outbox.Refused,
}

// keyReused is the reason of a conflict.
var keyReused = rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_KEY_REUSED)

// Package order knows no contract. Its words are held against the contract's here.
func TestTheConflictsOfOrdersAreThoseOfDeliveries(t *testing.T) {
	t.Parallel()
	if want := []string{keyReused, codeEcho, order.NotRefunded}; !slices.Equal(order.ConflictCodes, want) {
		t.Errorf("got order.ConflictCodes %q, want %q", order.ConflictCodes, want)
	}
	overloaded := rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_OVERLOADED)
	stopping := rpc.ReasonName(errorv1.ErrorReason_ERROR_REASON_STOPPING)
	if want := []string{overloaded, stopping, codeEnded}; !slices.Equal(order.DeferredCodes, want) {
		t.Errorf("got order.DeferredCodes %q, want %q", order.DeferredCodes, want)
	}
}

func TestMeaningIsTheSagasTable(t *testing.T) {
	t.Parallel()
	if got, want := len(classes), 17; got != want {
		t.Fatalf("got %d codes, want %d", got, want)
	}
	for code, want := range classes {
		for _, reason := range []string{"", "COMMIT_UNKNOWN", keyReused} {
			want := want
			if code == codes.AlreadyExists && reason == keyReused {
				want = outbox.Conflict
			}
			if got := meaning(code, reason); got != want {
				t.Errorf("%s, reason %q: got %s, want %s", code, reason, got, want)
			}
		}
	}
	if got, want := meaning(99, ""), outbox.Ambiguous; got != want {
		t.Errorf("a code of the future: got %s, want %s", got, want)
	}
}

// Some reasons say more than their codes.
func TestReasonsThatMeanMoreThanTheirCodes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		code      codes.Code
		reason    string
		want      outbox.Result
		transport bool // it is no answer
		silent    bool
	}{
		{codes.DeadlineExceeded, "CARD_NETWORK_TIMEOUT", outbox.Ambiguous, false, false},
		{codes.DeadlineExceeded, "DEADLINE_PASSED", outbox.TimedOut, true, true},
		{codes.DeadlineExceeded, "", outbox.TimedOut, true, true},
		{codes.DeadlineExceeded, "OF_THE_FUTURE", outbox.TimedOut, false, false},
		{codes.Canceled, "CALL_CANCELLED", outbox.Ambiguous, true, false},
		{codes.ResourceExhausted, "OVERLOADED", outbox.Deferred, false, false},
		{codes.ResourceExhausted, "DATABASE_FULL", outbox.Blocked, false, false},
		{codes.Unavailable, "STOPPING", outbox.Deferred, false, false},
		{codes.Unavailable, "OVERLOADED", outbox.Blocked, false, false},
	} {
		f := refusalOf(failure(test.code, test.reason, 0))
		if got := meaning(f.code, f.reason); got != test.want {
			t.Errorf("%s, %q: got %s, want %s", test.code, test.reason, got, test.want)
		}
		if got := f.fromTransport(); got != test.transport {
			t.Errorf("%s, %q: got no answer %t, want %t", test.code, test.reason, got, test.transport)
		}
		if got := f.silent(); got != test.silent {
			t.Errorf("%s, %q: got silent %t, want %t", test.code, test.reason, got, test.silent)
		}
	}
}

// A server that closes a connection when it has asked everybody to leave does so as planned; one that dies does not.
func TestAConnectionThatWasToBeLeftEndsAsPlanned(t *testing.T) {
	t.Parallel()
	const closed = "closing transport due to: connection error: EOF, received prior goaway: code: "
	for message, want := range map[string]outbox.Result{
		closed + `NO_ERROR, debug data: "max_age"`:        outbox.Deferred,
		closed + `NO_ERROR, debug data: "graceful_stop"`:  outbox.Deferred,
		closed + `ENHANCE_YOUR_CALM, debug data: "pings"`: outbox.Blocked,
		"error reading from server: EOF":                  outbox.Blocked,
	} {
		var r outbox.Report
		refusalOf(status.Error(codes.Unavailable, message)).blocks(&r)
		if r.Result != want {
			t.Errorf("%s: got %s, want %s", message, r.Result, want)
		}
	}
}

func TestARefusalIsWrittenDownAsAReasonOrACode(t *testing.T) {
	t.Parallel()
	long := "A234567890123456789012345678901234567890123456789012345678901234" // 64 characters
	tests := []struct {
		code   codes.Code
		reason string
		want   string
	}{
		{codes.Unavailable, "COMMIT_UNKNOWN", "COMMIT_UNKNOWN"},
		{codes.AlreadyExists, "KEY_REUSED", "KEY_REUSED"},
		// An operator may settle by hand what is called a conflict: nothing else may be called one.
		{codes.Internal, "KEY_REUSED", "INTERNAL"},
		{codes.AlreadyExists, "ECHO_MISMATCH", "ALREADY_EXISTS"},
		// Nor is a failure called no failure.
		{codes.Internal, "OVERLOADED", "INTERNAL"},
		{codes.Unavailable, "STREAM_ENDED", "UNAVAILABLE"},
		{codes.Unavailable, "STOPPING", "STOPPING"},
		// A reason that is none is not stored: PostgreSQL refuses NUL, and the row could never be settled.
		{codes.Internal, "NUL\x00", "INTERNAL"},
		{codes.Internal, "line\nbreak", "INTERNAL"},
		{codes.Internal, long, "INTERNAL"},
		{codes.OK, "", "UNKNOWN_OUTCOME"},
		{99, "", "99"},
	}
	for code := range classes {
		if code != codes.OK {
			tests = append(tests, struct {
				code   codes.Code
				reason string
				want   string
			}{code, "", upperSnake(code)})
		}
	}
	for _, test := range tests {
		r := outbox.Report{}
		refusalIn(&paymentv1.PaymentError{Code: int32(test.code), Reason: test.reason}).apply(&r)
		if r.Code != test.want {
			t.Errorf("%s, reason %q: got code %q, want %q", test.code, test.reason, r.Code, test.want)
		}
	}
}

func TestCanonicalCodes(t *testing.T) {
	t.Parallel()
	want := map[codes.Code]string{
		codes.Canceled:         "CANCELLED",
		codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
		codes.Unauthenticated:  "UNAUTHENTICATED",
		codes.OutOfRange:       "OUT_OF_RANGE",
		codes.DataLoss:         "DATA_LOSS",
	}
	for code, want := range want {
		r := outbox.Report{}
		refusal{code: code}.apply(&r)
		if r.Code != want {
			t.Errorf("%v: got %q, want %q", code, r.Code, want)
		}
	}
}

// A stream that ends takes its commands along, and says nothing about any of them.
func TestAStreamsEndIsNoCommandsFault(t *testing.T) {
	t.Parallel()
	for code := range classes {
		for _, reason := range []string{"", keyReused} {
			if code == codes.OK {
				continue // no error at all
			}
			r := outbox.Report{Message: outbox.Message{Claims: 1}}
			refusalOf(failure(code, reason, 0)).blocks(&r)
			if r.Result != outbox.Blocked || r.Code != upperSnake(code) || r.Immediate {
				t.Errorf("%s, reason %q: got %s, code %q, at once: %v; want blocked, %s, at leisure",
					code, reason, r.Result, r.Code, r.Immediate, upperSnake(code))
			}
		}
	}
}

// Whether a refusal came as a status or on the stream, it is the same refusal.
func TestRefusalsOfCallsAndStreamsAreAlike(t *testing.T) {
	t.Parallel()
	for _, wait := range []time.Duration{0, 7 * time.Second, time.Hour, -time.Second} {
		fromCall, fromStream := outbox.Report{}, outbox.Report{}
		refusalOf(failure(codes.ResourceExhausted, "DATABASE_FULL", wait)).apply(&fromCall)
		refusalIn(&paymentv1.PaymentError{
			Code: int32(codes.ResourceExhausted), Reason: "DATABASE_FULL", Message: "as the script says",
			RetryDelay: durationpb.New(wait),
		}).apply(&fromStream)
		want := outbox.Report{
			Result: outbox.Blocked, Code: "DATABASE_FULL", Body: "as the script says",
			RetryAfter: min(wait, time.Minute),
		}
		if got, want := fmt.Sprintf("%+v", fromCall), fmt.Sprintf("%+v", want); got != want {
			t.Errorf("a call, wait %v: got %s, want %s", wait, got, want)
		}
		if got, want := fmt.Sprintf("%+v", fromStream), fmt.Sprintf("%+v", want); got != want {
			t.Errorf("the stream, wait %v: got %s, want %s", wait, got, want)
		}
	}
}

func failure(code codes.Code, reason string, wait time.Duration) error {
	var details []protoadapt.MessageV1
	if reason != "" {
		details = append(details, &errdetails.ErrorInfo{Reason: reason, Domain: rpc.Domain})
	}
	if wait != 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	st, err := status.New(code, "as the script says").WithDetails(details...)
	if err != nil {
		return err
	}
	return st.Err()
}

// upperSnake is how a code is written: DEADLINE_EXCEEDED.
func upperSnake(c codes.Code) string {
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && 'A' <= r && r <= 'Z' && c != codes.OK {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	if c == codes.Canceled {
		return "CANCELLED" // two l on the wire, one in Go
	}
	return strings.ToUpper(b.String())
}
