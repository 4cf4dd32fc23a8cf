package main

import (
	"errors"

	"google.golang.org/grpc/codes"

	errorv1 "hosho/gen/error/v1"
	"hosho/internal/orderdb"
	"hosho/internal/rpc"
)

// toStatus gives each of the OutboxService's own errors its code.
func toStatus(err error) error {
	switch {
	case errors.Is(err, orderdb.ErrNotFound):
		return rpc.Status(codes.NotFound, errorv1.ErrorReason_ERROR_REASON_ORDER_NOT_FOUND, "there is no such order")
	case errors.Is(err, errNoCommand):
		return rpc.Status(codes.NotFound, errorv1.ErrorReason_ERROR_REASON_COMMAND_NOT_FOUND,
			"the outbox holds no such command: it was settled, or never was")
	case errors.Is(err, errNotThat):
		return rpc.Status(codes.FailedPrecondition, errorv1.ErrorReason_ERROR_REASON_NOT_THAT_PAYMENTS_DATABASE,
			"the paymentd of this relay has not said that it has that payments database: sagactl status shows which")
	case errors.Is(err, orderdb.ErrNotParked):
		return rpc.Status(codes.FailedPrecondition, errorv1.ErrorReason_ERROR_REASON_NOT_PARKED,
			"nothing is to be settled by hand: the order is COMPLETED, or goes on by itself, since paymentd has said "+
				"neither that its key is another's nor that what was paid is not refunded")
	}
	return rpc.ToStatus(err)
}
