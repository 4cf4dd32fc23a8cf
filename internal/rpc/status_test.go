package rpc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "hosho/gen/error/v1"
	"hosho/internal/admission"
	"hosho/internal/pg"
	"hosho/internal/validate"
)

func TestWhatEveryServiceAnswersAlikeIsOneStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err             error
		code            codes.Code
		reason, message string
		delay           time.Duration
	}{
		{
			context.DeadlineExceeded, codes.Unavailable, "DATABASE_UNAVAILABLE",
			"the database cannot be reached: try again", 0,
		},
		{
			pg.ErrCommitUnknown, codes.Unavailable, "COMMIT_UNKNOWN",
			"the outcome of the write is unknown: try again with the same key", 0,
		},
		{&pgconn.PgError{Code: "40001"}, codes.Aborted, "COLLISION", "concurrent writes collided: try again", 0},
		{
			pg.ErrBusy, codes.ResourceExhausted, "OVERLOADED",
			"more is asked for than can be done in time, and nothing was done: try again later", time.Second,
		},
		{
			&pgconn.PgError{Code: "53100"}, codes.ResourceExhausted, "DATABASE_FULL",
			"the database is out of space: try again later", 5 * time.Second,
		},
		{
			&pgconn.PgError{Code: "42501", Message: "hunter2"}, codes.Unavailable, "DATABASE_MISCONFIGURED",
			"the database is not set up as the service needs it: try again when that is put right", 0,
		},
		{&pgconn.PgError{Code: "23514", Message: "hunter2"}, codes.Internal, "INTERNAL", "internal", 0},
		{errSecret, codes.Internal, "INTERNAL", "internal", 0},
		{
			&admission.Overloaded{Lane: "create", RetryAfter: time.Second}, codes.ResourceExhausted, "OVERLOADED",
			"more is asked for than can be done in time, and nothing was done: try again later", time.Second,
		},
		{ErrStopping, codes.Unavailable, "STOPPING", "the server is stopping: try again", 0},
		{errNotReady, codes.Unavailable, "NOT_READY", "the server is not ready: try again", 0},
	}
	for _, test := range tests {
		got := ToStatus(fmt.Errorf("place the order: %w", test.err))
		wantStatus(t, got, test.code, test.reason, test.message)
		if Reason(got) != test.reason || RetryDelay(got) != test.delay {
			t.Errorf("%v: got reason %q, delay %v, want %s, %v",
				test.err, Reason(got), RetryDelay(got), test.reason, test.delay)
		}
	}
}

func TestInvalidTellsTheFirstViolationsAndHowManyThereAre(t *testing.T) {
	t.Parallel()
	for n, message := range map[int]string{
		1:    "items[0].name: got 0 characters",
		2:    "items[0].name: got 0 characters (and 1 more)",
		20:   "items[0].name: got 0 characters (and 19 more)",
		1000: "items[0].name: got 0 characters (and 999 more)",
	} {
		var fields validate.Fields
		var want []string
		for i := range n {
			fields.Add(fmt.Sprintf("items[%d].name", i), "got 0 characters")
			if i < 20 {
				want = append(want, fmt.Sprintf("items[%d].name got 0 characters", i))
			}
		}
		var invalid *validate.Error
		if !errors.As(fields.Err(), &invalid) {
			t.Fatalf("got %v, want a *validate.Error", fields.Err())
		}
		err := ToStatus(fmt.Errorf("create: %w", invalid))
		wantStatus(t, err, codes.InvalidArgument, "INVALID_FIELDS", message)
		var got []string
		for _, detail := range status.Convert(err).Details() {
			if bad, ok := detail.(*errdetails.BadRequest); ok {
				for _, v := range bad.GetFieldViolations() {
					got = append(got, v.GetField()+" "+v.GetDescription())
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d violations (-want +got):\n%s", n, diff)
		}
	}
}

func TestAStatusKeepsItsDetails(t *testing.T) {
	t.Parallel()
	err := Status(codes.ResourceExhausted, errorv1.ErrorReason_ERROR_REASON_CARD_NETWORK_BUSY, "later",
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)})
	wantStatus(t, err, codes.ResourceExhausted, "CARD_NETWORK_BUSY", "later")
	if RetryDelay(err) != time.Minute {
		t.Errorf("got delay %v, want 1m", RetryDelay(err))
	}
}

func TestAnErrorOfSomebodyElseHasNoReason(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, errSecret, status.Error(codes.Unavailable, "down")} {
		if Reason(err) != "" || RetryDelay(err) != 0 {
			t.Errorf("%v: got reason %q, delay %v, want none", err, Reason(err), RetryDelay(err))
		}
	}
}
