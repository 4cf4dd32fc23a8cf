package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	code := func(code string) error { return &pgconn.PgError{Code: code} }
	tests := []struct {
		name string
		err  error
		want pg.Fault
	}{
		{"nil", nil, pg.Unexpected},
		{"a fault of the program", errors.New("a fault"), pg.Unexpected},
		{"no rows", pgx.ErrNoRows, pg.Unexpected},
		{"unique_violation", code("23505"), pg.Unexpected},
		{"check_violation", code("23514"), pg.Unexpected},
		{"syntax_error", code("42601"), pg.Unexpected},
		{"in_failed_sql_transaction", code("25P02"), pg.Unexpected},
		{"a statement failed, and the transaction with it", pgx.ErrTxCommitRollback, pg.Unexpected},

		{"insufficient_privilege", code("42501"), pg.Misconfigured},
		{"undefined_table", code("42P01"), pg.Misconfigured},
		{"undefined_column", code("42703"), pg.Misconfigured},
		{"undefined_function", code("42883"), pg.Misconfigured},
		{"undefined_object", code("42704"), pg.Misconfigured},
		{"datatype_mismatch", code("42804"), pg.Misconfigured},
		{"invalid_column_reference", code("42P10"), pg.Misconfigured},
		{"invalid_schema_name", code("3F000"), pg.Misconfigured},
		{"invalid_catalog_name", code("3D000"), pg.Misconfigured},
		{"invalid_password", code("28P01"), pg.Misconfigured},
		{"invalid_authorization_specification", code("28000"), pg.Misconfigured},

		{"serialization_failure", code("40001"), pg.Collision},
		{"deadlock_detected", code("40P01"), pg.Collision},
		{"lock_not_available", code("55P03"), pg.Collision},

		{"disk_full", code("53100"), pg.Exhausted},
		{"out_of_memory", code("53200"), pg.Exhausted},
		{"configuration_limit_exceeded", code("53400"), pg.Exhausted},
		{"program_limit_exceeded: no transaction ids are left", code("54000"), pg.Exhausted},

		{"too_many_connections", code("53300"), pg.Unreachable},
		{"read_only_sql_transaction", code("25006"), pg.Unreachable},
		{"idle_in_transaction_session_timeout", code("25P03"), pg.Unreachable},
		{"connection_failure", code("08006"), pg.Unreachable},
		{"query_canceled", code("57014"), pg.Unreachable},
		{"admin_shutdown", code("57P01"), pg.Unreachable},
		{"crash_shutdown", code("57P02"), pg.Unreachable},
		{"cannot_connect_now", code("57P03"), pg.Unreachable},
		{"duplicate_prepared_statement, of a pooler", code("42P05"), pg.Unreachable},
		{"invalid_sql_statement_name, of a pooler", code("26000"), pg.Unreachable},
		{
			"cached plan must not change result type", &pgconn.PgError{Code: "0A000", Routine: "RevalidateCachedQuery"},
			pg.Unreachable,
		},
		{"feature_not_supported", code("0A000"), pg.Unexpected},
		{"io_error", code("58030"), pg.Unreachable},
		{"undefined_file", code("58P01"), pg.Unreachable},
		{"the connection ended", io.ErrUnexpectedEOF, pg.Unreachable},
		{"the connection was closed", net.ErrClosed, pg.Unreachable},
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, pg.Unreachable},
		{"too slow", context.DeadlineExceeded, pg.Unreachable},
		{"told to stop", context.Canceled, pg.Unreachable},

		{"no answer to a COMMIT", pg.ErrCommitUnknown, pg.CommitUnknown},
		{
			"no answer to a COMMIT, because of a shutdown",
			fmt.Errorf("%w: %w", pg.ErrCommitUnknown, code("57P01")), pg.CommitUnknown,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := pg.Classify(test.err); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
			if test.err == nil {
				return
			}
			if got := pg.Classify(fmt.Errorf("an operation: %w", test.err)); got != test.want {
				t.Errorf("wrapped: got %d, want %d", got, test.want)
			}
		})
	}
}

// A server that answers, and does not let the session begin, says nothing about what was to be written: whatever it
// complains of, a person puts it right.
func TestASessionThatIsRefusedIsAMisconfiguration(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	for _, wrong := range []string{
		strings.Replace(db.URL, "?", "_elsewhere?", 1), db.URL + "&role=nobody_here",
		db.URL + "&options=-cwork_mem%3Dmuch",
	} {
		pool, err := pg.Open(t.Context(), pg.Config{URL: wrong, Application: "test"})
		if err != nil {
			t.Fatal(err)
		}
		err = pg.InTx(t.Context(), pool, func(pgx.Tx) error { return nil })
		if got := pg.Classify(err); err == nil || got != pg.Misconfigured {
			t.Errorf("%s: got %d of %v, want Misconfigured", wrong, got, err)
		}
		pool.Close()
	}
}

// The errors that pgx really returns, where it wraps them itself.
func TestClassifyWhatPgxAnswers(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := db.Pool.Exec(cancelled, `SELECT 1`)
	if got := pg.Classify(err); err == nil || got != pg.Unreachable {
		t.Errorf("cancelled before: got %d of %v, want Unreachable", got, err)
	}
	_, err = db.Pool.Exec(t.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`)
	if got := pg.Classify(err); err == nil || got != pg.Unreachable {
		t.Errorf("terminated: got %d of %v, want Unreachable", got, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := (&url.URL{Scheme: "postgres", Host: listener.Addr().String(), Path: "/orders"}).String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	pool, err := pg.Open(t.Context(), pg.Config{URL: nobody, Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	err = pg.InTx(t.Context(), pool, func(pgx.Tx) error { return nil })
	if got := pg.Classify(err); err == nil || got != pg.Unreachable {
		t.Errorf("nobody listens: got %d of %v, want Unreachable", got, err)
	}
	if errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("nobody listens: got %v, and nothing was ever sent", err)
	}
}
