package pg

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Fault is what a database error means to the caller.
type Fault uint8

// The faults.
const (
	// Unexpected is a fault of the program or its data: trying again will not help.
	Unexpected Fault = iota
	// Unreachable means that nothing was written: the database is down, restarting, full of connections, or too slow.
	Unreachable
	// CommitUnknown means that a write may have happened.
	CommitUnknown
	// Collision means that nothing was written, because of a concurrent transaction.
	Collision
	// Exhausted means that nothing was written, because the database is out of disk or memory.
	Exhausted
)

// Classify tells what an error of this package, or of a pgx call, means. nil is Unexpected, like anything else that is
// no fault of the database.
func Classify(err error) Fault {
	var refused *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil:
		return Unexpected
	case errors.Is(err, ErrCommitUnknown):
		return CommitUnknown
	case errors.As(err, &refused):
		return classifyCode(refused)
	case errors.As(err, &connect), errors.As(err, &network),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, pgconn.ErrConnClosed), errors.Is(err, pgx.ErrTxClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		pgconn.SafeToRetry(err):
		return Unreachable
	}
	return Unexpected
}

// classifyCode goes by SQLSTATE (PostgreSQL, appendix A).
func classifyCode(err *pgconn.PgError) Fault {
	switch err.Code {
	case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
		return Collision
	case "53100", "53200": // disk_full, out_of_memory
		return Exhausted
	}
	if lost(err) {
		return Unreachable
	}
	return Unexpected
}

// lost reports whether the server ended the session, did not let it begin, or was told to stop the statement.
func lost(err *pgconn.PgError) bool {
	switch err.Code[:2] {
	case "08", "57": // connection_exception; operator_intervention: shutdown, crash, starting up, query cancelled
		return true
	}
	switch err.Code {
	// too_many_connections; read_only_sql_transaction, after a failover; idle_in_transaction_session_timeout
	case "53300", "25006", "25P03":
		return true
	}
	return false
}
