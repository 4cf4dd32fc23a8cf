package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "hosho/gen/error/v1"
	"hosho/internal/admission"
	"hosho/internal/pg"
	"hosho/internal/validate"
)

// Domain is the ErrorInfo domain of every error that hosho's services answer.
const Domain = "hosho"

// ReasonName returns a reason as it is on the wire, in logs and in the outbox: "KEY_REUSED".
func ReasonName(r errorv1.ErrorReason) string { return strings.TrimPrefix(r.String(), "ERROR_REASON_") }

// How long a client waits before it tries a busy database again, and a full one.
const (
	busyRetryDelay = time.Second
	fullRetryDelay = 5 * time.Second
)

// Status makes an error with one ErrorInfo, and whatever details it is given besides.
func Status(code codes.Code, reason errorv1.ErrorReason, message string, details ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: ReasonName(reason), Domain: Domain}
	all := append([]protoadapt.MessageV1{info}, details...)
	st, err := status.New(code, message).WithDetails(all...)
	if err != nil {
		return status.Error(code, message) // details that cannot be encoded: none of ours
	}
	return st.Err()
}

// ErrStopping ends a stream because its server stops. The client may open another elsewhere.
var ErrStopping = errors.New("the server is stopping")

// NotAllowed is the error of a call that its caller may not make.
type NotAllowed struct {
	Message string // who may not do what
}

func (e *NotAllowed) Error() string { return e.Message }

// errNotReady keeps a call out. The gate has logged why.
var errNotReady = errors.New("the server is not ready")

// ToStatus makes the status of an error that every service answers alike: fields that break rules, a server that is
// stopping or has too much to do, and the faults of databases. What nobody expected says "internal" and no more: the
// log has the rest. A daemon's own function lists its own errors, and leaves all others to this one.
func ToStatus(err error) error {
	var invalid *validate.Error
	var overloaded *admission.Overloaded
	var refused *NotAllowed
	switch {
	case errors.As(err, &refused):
		return Status(codes.PermissionDenied, errorv1.ErrorReason_ERROR_REASON_NOT_ALLOWED, refused.Message)
	case errors.As(err, &invalid):
		return ofFields(invalid)
	case errors.As(err, &overloaded):
		return ofOverload(overloaded.RetryAfter)
	case errors.Is(err, ErrStopping):
		return Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_STOPPING, "the server is stopping: try again")
	case errors.Is(err, ErrRepliesUnread):
		return Status(codes.ResourceExhausted, errorv1.ErrorReason_ERROR_REASON_REPLIES_UNREAD,
			"the replies were not read: ask again under the same keys, and read what is answered")
	case errors.Is(err, errNotReady):
		return Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_NOT_READY,
			"the server is not ready: try again")
	}
	return ofFault(pg.Classify(err))
}

// ofCaller makes the status of a call whose caller waits no longer. What its handler made of that does not matter: the
// work may have been done.
func ofCaller(gone error) error {
	if errors.Is(gone, context.DeadlineExceeded) {
		return Status(codes.DeadlineExceeded, errorv1.ErrorReason_ERROR_REASON_DEADLINE_PASSED,
			"the deadline passed, and what was asked may have been done: ask again under the same key")
	}
	return Status(codes.Canceled, errorv1.ErrorReason_ERROR_REASON_CALL_CANCELLED,
		"the call was cancelled, and what was asked may have been done: ask again under the same key")
}

// maxViolations bounds what one answer tells: statuses travel in HTTP/2 headers, of which clients take few KiB.
const maxViolations = 20

// ofFields makes the INVALID_ARGUMENT of a request that breaks rules, a field violation each, the first ones if there
// are many.
func ofFields(invalid *validate.Error) error {
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
	return Status(codes.InvalidArgument, errorv1.ErrorReason_ERROR_REASON_INVALID_FIELDS, message, bad)
}

func ofOverload(retryAfter time.Duration) error {
	return Status(codes.ResourceExhausted, errorv1.ErrorReason_ERROR_REASON_OVERLOADED,
		"more is asked for than can be done in time, and nothing was done: try again later",
		&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
}

func ofFault(fault pg.Fault) error {
	switch fault {
	case pg.Unreachable:
		return Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_DATABASE_UNAVAILABLE,
			"the database cannot be reached: try again")
	case pg.CommitUnknown:
		return Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_COMMIT_UNKNOWN,
			"the outcome of the write is unknown: try again with the same key")
	case pg.Misconfigured:
		return Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_DATABASE_MISCONFIGURED,
			"the database is not set up as the service needs it: try again when that is put right")
	case pg.Collision:
		return Status(codes.Aborted, errorv1.ErrorReason_ERROR_REASON_COLLISION,
			"concurrent writes collided: try again")
	case pg.Busy:
		return ofOverload(busyRetryDelay)
	case pg.Exhausted:
		return Status(codes.ResourceExhausted, errorv1.ErrorReason_ERROR_REASON_DATABASE_FULL,
			"the database is out of space: try again later",
			&errdetails.RetryInfo{RetryDelay: durationpb.New(fullRetryDelay)})
	}
	return Status(codes.Internal, errorv1.ErrorReason_ERROR_REASON_INTERNAL, "internal")
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

// Unreached reports whether an error says that nobody answered: what a service answers has a reason.
func Unreached(err error) bool { return status.Code(err) == codes.Unavailable && Reason(err) == "" }

// RetryDelay returns the delay of an error's RetryInfo, 0 when it has none.
func RetryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
