package main

import (
	"errors"

	"google.golang.org/grpc/codes"

	errorv1 "hosho/gen/error/v1"
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
