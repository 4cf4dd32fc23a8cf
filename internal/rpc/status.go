package rpc

import (
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"hosho/internal/pg"
	"hosho/internal/validate"
)

// Domain is the ErrorInfo domain of every error that hosho's services answer.
const Domain = "hosho"

// The reasons that any service may give, beside its own.
const (
	ReasonInvalid       = "INVALID_FIELDS"
	ReasonNotReady      = "NOT_READY"
	ReasonUnreachable   = "DATABASE_UNAVAILABLE"
	ReasonCommitUnknown = "COMMIT_UNKNOWN"
	ReasonCollision     = "COLLISION"
	ReasonExhausted     = "DATABASE_FULL"
	ReasonInternal      = "INTERNAL"
)

// fullRetryDelay is how long a client waits before it tries a full database again.
const fullRetryDelay = 5 * time.Second

// Status makes an error with one ErrorInfo, and whatever details it is given besides.
func Status(code codes.Code, reason, message string, details ...protoadapt.MessageV1) error {
	all := append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: Domain}}, details...)
	st, err := status.New(code, message).WithDetails(all...)
	if err != nil {
		return status.Error(code, message) // details that cannot be encoded: none of ours
	}
	return st.Err()
}

// maxViolations bounds what one answer tells: statuses travel in HTTP/2 headers, of which clients take few KiB.
const maxViolations = 20

// Invalid makes the INVALID_ARGUMENT of a request that breaks rules, a field violation each, the first ones if there
// are many.
func Invalid(invalid *validate.Error) error {
	bad := &errdetails.BadRequest{}
	message := invalid.Violations[0].String()
	if n := len(invalid.Violations); n > 1 {
		message += fmt.Sprintf(" (and %d more)", n-1)
	}
	for _, v := range invalid.Violations[:min(len(invalid.Violations), maxViolations)] {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: v.Field, Description: v.Description,
		})
	}
	return Status(codes.InvalidArgument, ReasonInvalid, message, bad)
}

// Fault makes the status of a database fault. What nobody expected says "internal" and no more: the log has the rest.
func Fault(err error) error {
	switch pg.Classify(err) {
	case pg.Unreachable:
		return Status(codes.Unavailable, ReasonUnreachable, "the database cannot be reached: try again")
	case pg.CommitUnknown:
		return Status(codes.Unavailable, ReasonCommitUnknown, "the outcome of the write is unknown: try again with the same key")
	case pg.Collision:
		return Status(codes.Aborted, ReasonCollision, "concurrent writes collided: try again")
	case pg.Exhausted:
		return Status(codes.ResourceExhausted, ReasonExhausted, "the database is out of space: try again later",
			&errdetails.RetryInfo{RetryDelay: durationpb.New(fullRetryDelay)})
	}
	return Status(codes.Internal, ReasonInternal, "internal")
}

// Reason returns the reason of an error's ErrorInfo, "" when it has none.
func Reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// RetryDelay returns the delay of an error's RetryInfo, 0 when it has none.
func RetryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
