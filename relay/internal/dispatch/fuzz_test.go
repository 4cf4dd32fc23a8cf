package dispatch

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/order"
	"hosho/internal/outbox"
)

// storable is what every last_code looks like, wherever it came from.
var storable = regexp.MustCompile(`^[A-Z0-9_-]{1,63}$`)

// Whatever a peer says in an error, it decides nothing, can be stored, and is called a conflict only when it is one:
// an operator may settle a conflict by hand.
func FuzzRefusal(f *testing.F) {
	for code := range classes {
		f.Add(int32(code), "", int64(0), int32(0))
		f.Add(int32(code), keyReused, int64(5), int32(-1))
		f.Add(int32(code), codeEcho, int64(61), int32(0))
	}
	f.Add(int32(-1), "A\n", int64(-1), int32(1_000_000_000))
	f.Fuzz(func(t *testing.T, code int32, reason string, seconds int64, nanos int32) {
		said := refusalIn(&paymentv1.PaymentError{
			Code: code, Reason: reason, RetryDelay: &durationpb.Duration{Seconds: seconds, Nanos: nanos},
		})
		var answered, blocked outbox.Report
		said.apply(&answered)
		said.blocks(&blocked)
		conflict := codes.Code(code) == codes.AlreadyExists && reason == keyReused
		if got := answered.Result == outbox.Conflict; got != conflict {
			t.Errorf("%d %q: got a conflict %v, want %v", code, reason, got, conflict)
		}
		if blocked.Result != outbox.Blocked {
			t.Errorf("%d %q, of a stream: got %s, want it blocked", code, reason, blocked.Result)
		}
		for _, r := range []outbox.Report{answered, blocked} {
			if r.Result == outbox.Decided {
				t.Errorf("%d %q: got it decided", code, reason)
			}
			if !storable.MatchString(r.Code) {
				t.Errorf("%d %q: got the last_code %q, want %s", code, reason, r.Code, storable)
			}
			if r.Result != outbox.Conflict && slices.Contains(order.ConflictCodes, r.Code) {
				t.Errorf("%d %q: got the last_code %s, and it is %s", code, reason, r.Code, r.Result)
			}
			if r.RetryAfter > time.Minute {
				t.Errorf("%d %q: got a wait of %s, want a minute at most", code, reason, r.RetryAfter)
			}
		}
	})
}
