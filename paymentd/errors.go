package main

import (
	"errors"
	"log/slog"
	"time"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/card"
	"hosho/internal/paymentdb"
	"hosho/internal/rpc"
	"hosho/internal/validate"
)

// The reasons that paymentd gives, beside those of every service.
const (
	reasonNotFound       = "PAYMENT_NOT_FOUND"
	reasonKeyReused      = "KEY_REUSED"
	reasonStopping       = "STOPPING"
	reasonReplyLost      = "REPLY_LOST"
	reasonNetworkTimeout = "CARD_NETWORK_TIMEOUT"
	reasonNetworkBusy    = "CARD_NETWORK_BUSY"
)

// busyRetryDelay is how long a client waits when too many charges hang.
const busyRetryDelay = time.Second

// toStatus gives each error its code; it is the one place where that is decided. What is not known is "internal"
// outside, and in the log as it is.
func toStatus(err error) error {
	var invalid *validate.Error
	switch {
	case errors.As(err, &invalid):
		return rpc.Invalid(invalid)
	case errors.Is(err, paymentdb.ErrNotFound):
		return rpc.Status(codes.NotFound, reasonNotFound, "nothing is decided under this payment_id")
	case errors.Is(err, paymentdb.ErrKeyReused):
		return rpc.Status(codes.AlreadyExists, reasonKeyReused, "payment_id was used for another customer, amount or currency")
	case errors.Is(err, rpc.ErrStopping):
		return rpc.Status(codes.Unavailable, reasonStopping, "the server is stopping: try again")
	case errors.Is(err, errReplyLost):
		return rpc.Status(codes.Unavailable, reasonReplyLost, "the reply was lost: try again with the same key")
	case errors.Is(err, card.ErrNoAnswer):
		return rpc.Status(codes.DeadlineExceeded, reasonNetworkTimeout, "the card network did not answer in time: try again with the same key")
	case errors.Is(err, errNetworkBusy):
		return rpc.Status(codes.ResourceExhausted, reasonNetworkBusy, "the card network is busy: try again later",
			&errdetails.RetryInfo{RetryDelay: durationpb.New(busyRetryDelay)})
	}
	return rpc.Fault(err)
}

// toPaymentError puts on a stream what the unary method would have answered.
func toPaymentError(err error) *paymentv1.PaymentError {
	answered := toStatus(err)
	out := &paymentv1.PaymentError{
		Code:    int32(status.Code(answered)),
		Reason:  rpc.Reason(answered),
		Message: status.Convert(answered).Message(),
	}
	if delay := rpc.RetryDelay(answered); delay > 0 {
		out.RetryDelay = durationpb.New(delay)
	}
	return out
}

func isNotFound(err error) bool { return errors.Is(err, paymentdb.ErrNotFound) }

func codeName(e *paymentv1.PaymentError) string { return rpccode.Code(e.GetCode()).String() }

// severity is how loud the log is about an error: faults of ours, faults of the moment, the rest.
func severity(e *paymentv1.PaymentError) slog.Level {
	switch codes.Code(e.GetCode()) {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
