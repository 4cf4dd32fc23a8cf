package rpc

import (
	"time"

	"google.golang.org/grpc/metadata"
)

// In these headers of a stream paymentd says, before it reads anything, which database it has and what the clock there
// says.
const (
	databaseHeader = "hosho-payments-database"
	clockHeader    = "hosho-payments-clock"
)

// Introduction is what paymentd tells of its database. The zero value is an older paymentd's, which tells nothing.
type Introduction struct {
	Database string // the identity, a UUID in lower case
	Clock    time.Time
}

// Header is the introduction on the wire.
func (i Introduction) Header() metadata.MD {
	return metadata.Pairs(databaseHeader, i.Database, clockHeader, i.Clock.UTC().Format(time.RFC3339Nano))
}

// ReadIntroduction reads the introduction in a stream's header. A clock that cannot be read is none.
func ReadIntroduction(header metadata.MD) (i Introduction) {
	if got := header.Get(databaseHeader); len(got) > 0 {
		i.Database = got[0]
	}
	if got := header.Get(clockHeader); len(got) > 0 {
		i.Clock, _ = time.Parse(time.RFC3339Nano, got[0]) // the zero time
	}
	return i
}
