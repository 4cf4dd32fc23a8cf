package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "hosho/gen/error/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/card"
	"hosho/internal/paymentdb"
	"hosho/internal/rpc"
)

// busyRetryDelay is how long a client waits when too many charges hang.
const busyRetryDelay = time.Second

// toStatus gives each of paymentd's own errors its code; it is the one place where that is decided.
func toStatus(err error) error {
	switch {
	case errors.Is(err, paymentdb.ErrNotFound):
		return rpc.Status(codes.NotFound, errorv1.ErrorReason_ERROR_REASON_PAYMENT_NOT_FOUND,
			"nothing is decided under this payment_id")
	case errors.Is(err, paymentdb.ErrKeyReused):
		return rpc.Status(codes.AlreadyExists, errorv1.ErrorReason_ERROR_REASON_KEY_REUSED,
			"payment_id was used for another customer, amount or currency")
	case errors.Is(err, paymentdb.ErrWrongDatabase):
		return rpc.Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_WRONG_PAYMENTS_DATABASE,
			"this paymentd has another payments database than the one that is meant: nothing was done")
	case errors.Is(err, errReplyLost):
		return rpc.Status(codes.Unavailable, errorv1.ErrorReason_ERROR_REASON_REPLY_LOST,
			"the reply was lost: try again with the same key")
	case errors.Is(err, card.ErrNoAnswer):
		return rpc.Status(codes.DeadlineExceeded, errorv1.ErrorReason_ERROR_REASON_CARD_NETWORK_TIMEOUT,
			"the card network did not answer in time: try again with the same key")
	case errors.Is(err, errNetworkBusy):
		return rpc.Status(codes.ResourceExhausted, errorv1.ErrorReason_ERROR_REASON_CARD_NETWORK_BUSY,
			"the card network is busy: try again later",
			&errdetails.RetryInfo{RetryDelay: durationpb.New(busyRetryDelay)})
	}
	return rpc.ToStatus(err)
}

// toPaymentError puts on a stream what the unary method would have answered; nil where there is no error.
func toPaymentError(err error) *paymentv1.PaymentError {
	if err == nil {
		return nil
	}
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

// isDecided reports whether an error is an outcome: nothing will change by trying again.
func isDecided(err error) bool { return isNotFound(err) || errors.Is(err, paymentdb.ErrKeyReused) }

func isNotFound(err error) bool { return errors.Is(err, paymentdb.ErrNotFound) }

func codeName(e *paymentv1.PaymentError) string { return rpccode.Code(e.GetCode()).String() }

// tells reports whether an error is to have a line of its own in the log.
func tells(ctx context.Context, s *rpc.Sampler, kind paymentv1.PaymentResult_Kind, e *paymentv1.PaymentError) bool {
	return s.Tells(ctx, kindName(kind), codes.Code(e.GetCode()), e.GetReason())
}

// severity is how loud the log is about an answer. A decision changes something, and is told.
func severity(e *paymentv1.PaymentError) slog.Level {
	if e == nil {
		return slog.LevelInfo
	}
	return rpc.Severity(codes.Code(e.GetCode()))
}
