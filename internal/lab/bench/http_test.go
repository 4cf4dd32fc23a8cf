package bench

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"hosho/internal/rpc"
)

// What the door answers is tried again, or not, as what gRPC answers.
func TestACallOverHTTPIsTriedAgainAsANativeOne(t *testing.T) {
	t.Parallel()
	const full = `{"code":8,"message":"more is asked for","details":[` +
		`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"OVERLOADED","domain":"hosho"},` +
		`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0.500s"}]}`
	lostBy := func(err error) error { return lost(&url.Error{Op: "Post", URL: "http://door", Err: err}) }
	tests := []struct {
		name   string
		err    error
		code   codes.Code
		reason string
		delay  time.Duration
		again  bool
	}{
		{"429", refusal("429", []byte(full)), codes.ResourceExhausted, "OVERLOADED", time.Second / 2, true},
		{"503", refusal("503", []byte(`{"code":14,"message":"stopping"}`)), codes.Unavailable, "", 0, true},
		{"409", refusal("409", []byte(`{"code":10,"message":"collided"}`)), codes.Aborted, "", 0, true},
		{"409, another", refusal("409", []byte(`{"code":6,"message":"reused"}`)), codes.AlreadyExists, "", 0, false},
		{"400", refusal("400", []byte(`{"code":3,"message":"malformed"}`)), codes.InvalidArgument, "", 0, false},
		{"no status", refusal("502", []byte("<html>")), codes.Unknown, "", 0, false},
		{"a status of none", refusal("500", []byte("{}")), codes.Unknown, "", 0, false},
		{"the connection broke", lostBy(io.ErrUnexpectedEOF), codes.Unavailable, "", 0, true},
		{"no answer in time", lostBy(context.DeadlineExceeded), codes.DeadlineExceeded, "", 0, true},
		{"the end of all", lostBy(fmt.Errorf("read: %w", context.Canceled)), codes.Canceled, "", 0, false},
	}
	for _, tt := range tests {
		if tt.err == nil || status.Code(tt.err) != tt.code || transient(tt.err) != tt.again {
			t.Errorf("%s: got %v, tried again: %v; want %v, %v", tt.name, tt.err, transient(tt.err), tt.code, tt.again)
		}
		if reason, delay := rpc.Reason(tt.err), rpc.RetryDelay(tt.err); reason != tt.reason || delay != tt.delay {
			t.Errorf("%s: got %q in %v, want %q in %v", tt.name, reason, delay, tt.reason, tt.delay)
		}
	}
}
