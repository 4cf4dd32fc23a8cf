package main

import (
	"context"
	"errors"
	"log/slog"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "hosho/gen/error/v1"
	orderv1 "hosho/gen/order/v1"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
)

// toStatus gives each of orderd's own errors its code; it is the one place where that is decided.
func toStatus(err error) error {
	switch {
	case errors.Is(err, orderdb.ErrNotFound):
		return rpc.Status(codes.NotFound, errorv1.ErrorReason_ERROR_REASON_ORDER_NOT_FOUND, "there is no such order")
	case errors.Is(err, orderdb.ErrRequestIDReused):
		return rpc.Status(codes.AlreadyExists, errorv1.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED,
			"the request_id was used before with other fields")
	}
	return rpc.ToStatus(err)
}

// toOrderError puts on a stream what CreateOrder would have answered.
func toOrderError(err error) *orderv1.OrderError {
	answered := status.Convert(toStatus(err))
	out := &orderv1.OrderError{Code: int32(answered.Code()), Message: answered.Message()}
	for _, detail := range answered.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			out.Reason = detail.GetReason()
		case *errdetails.RetryInfo:
			out.RetryDelay = durationpb.New(detail.GetRetryDelay().AsDuration())
		case *errdetails.BadRequest:
			for _, v := range detail.GetFieldViolations() {
				out.FieldViolations = append(out.FieldViolations, &orderv1.OrderError_FieldViolation{
					Field: v.GetField(), Description: v.GetDescription(),
				})
			}
		}
	}
	return out
}

// isRefused reports whether an order is not placed for what it asks: it will not be, however often it is sent.
func isRefused(err error) bool {
	switch status.Code(toStatus(err)) {
	case codes.InvalidArgument, codes.AlreadyExists, codes.PermissionDenied:
		return true
	}
	return false
}

// isUndecodable reports whether gRPC could make no message of what came.
func isUndecodable(err error) bool { return status.Code(err) == codes.Internal }

func codeName(e *orderv1.OrderError) string { return rpccode.Code(e.GetCode()).String() }

// tells reports whether an order that is refused is to have a line of its own in the log.
func tells(ctx context.Context, s *rpc.Sampler, e *orderv1.OrderError) bool {
	return s.Tells(ctx, "order", codes.Code(e.GetCode()), e.GetReason())
}

// severity is how loud the log is about an error.
func severity(e *orderv1.OrderError) slog.Level { return rpc.Severity(codes.Code(e.GetCode())) }
