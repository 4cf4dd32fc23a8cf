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
	// Exhausted means that nothing was written, because the database is out of disk, memory, or another of its limits.
	Exhausted
	// Busy means that nothing was done, because there was too much to do: try again a little later.
	Busy
	// Misconfigured means that nothing was written, because the database is not what the program was given it for: a
	// right, a table, a column or a schema is missing, the password is wrong, or there is no such database. Nothing of
	// it is the fault of what was to be written, and it works again when a person has put it right.
	Misconfigured
)

// faultWords are the faults, as metrics have them.
var faultWords = [...]string{
	Unexpected: "unexpected", Unreachable: "unreachable", CommitUnknown: "commit_unknown", Collision: "collision",
	Exhausted: "exhausted", Busy: "busy", Misconfigured: "misconfigured",
}

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
	case errors.Is(err, ErrUnsafe):
		return Misconfigured
	case errors.Is(err, ErrUnanswered):
		return Unreachable
	case errors.Is(err, ErrBusy):
		return Busy
	case errors.As(err, &refused):
		fault := classifyCode(refused)
		if fault == Unexpected && errors.As(err, &connect) {
			return Misconfigured // the server did not let the session begin: no statement is at fault
		}
		return fault
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
	// insufficient_resources, disk_full, out_of_memory; configuration_limit_exceeded, such as temp_file_limit;
	// program_limit_exceeded, which is answered to all who write when the transaction ids run out
	case "53000", "53100", "53200", "53400", "54000":
		return Exhausted
	}
	switch {
	case lost(err), misnamed(err), outdated(err):
		return Unreachable
	case misconfigured(err):
		return Misconfigured
	}
	return Unexpected
}

// misconfigured reports whether the schema, the rights or the login are not those that the program was made for. The
// program's statements are always the same, so that whatever they miss is missing for all that comes.
func misconfigured(err *pgconn.PgError) bool {
	switch err.Code {
	case "42501", // insufficient_privilege
		"42P01", "42703", "42883", "42704", "42P02", // undefined table, column, function, object, parameter
		"42804", "42809", "42846", // datatype_mismatch, wrong_object_type, cannot_coerce: somebody changed it
		"42P10",          // invalid_column_reference: the constraint of an ON CONFLICT is gone
		"3D000", "3F000": // invalid_catalog_name, invalid_schema_name: no such database, no such schema
		return true
	}
	return err.Code[:2] == "28" // invalid_authorization_specification
}

// lost reports whether the server ended the session, did not let it begin, was told to stop the statement, or cannot go
// on with its own files.
func lost(err *pgconn.PgError) bool {
	switch err.Code[:2] {
	// connection_exception; operator_intervention: shutdown, crash, starting up, query cancelled; system_error: a disk
	// that fails, a file that is gone
	case "08", "57", "58":
		return true
	}
	switch err.Code {
	// too_many_connections; read_only_sql_transaction, after a failover; idle_in_transaction_session_timeout
	case "53300", "25006", "25P03":
		return true
	}
	return false
}
