package main

import (
	"errors"

	"google.golang.org/grpc/codes"

	"hosho/internal/orderdb"
	"hosho/internal/rpc"
	"hosho/internal/validate"
)

// The reasons that orderd gives, beside those of every service.
const (
	reasonNotFound = "ORDER_NOT_FOUND"
	reasonReused   = "REQUEST_ID_REUSED"
	reasonStopping = "STOPPING"
)

// toStatus gives each error its code; it is the one place where that is decided. What is not known is "internal"
// outside, and in the log as it is.
func toStatus(err error) error {
	var invalid *validate.Error
	switch {
	case errors.As(err, &invalid):
		return rpc.Invalid(invalid)
	case errors.Is(err, orderdb.ErrNotFound):
		return rpc.Status(codes.NotFound, reasonNotFound, "there is no such order")
	case errors.Is(err, orderdb.ErrRequestIDReused):
		return rpc.Status(codes.AlreadyExists, reasonReused, "the request_id was used before with other fields")
	case errors.Is(err, rpc.ErrStopping):
		return rpc.Status(codes.Unavailable, reasonStopping, "the server is stopping: try again")
	}
	return rpc.Fault(err)
}
