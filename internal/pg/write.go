package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// bounds is what begin sets, as one statement: those that are sent ahead, with parameters, come one by one.
const bounds = `
	SELECT set_config('idle_in_transaction_session_timeout', '10s', true), set_config('lock_timeout', '3s', true),
		set_config('statement_timeout', '10s', true), set_config('client_min_messages', 'warning', true)`

// Write runs one statement in a READ COMMITTED transaction of its own, in one round trip, and returns the rows that it
// returns. It is InTx for whatever writes with a single statement: one that commits by itself is a COMMIT. No context
// reaches any part of it. When ctx ends before there is an answer, Write returns ErrCommitUnknown, which is then so for
// every row.
func Write[T any](
	ctx context.Context, pool *pgxpool.Pool, row pgx.RowToFunc[T], sql string, args ...any,
) (rows []T, err error) {
	w, err := newWriter(ctx, pool)
	if err != nil {
		return nil, err
	}
	defer w.end()
	conn := w.conn.Conn()
	err = w.repeat(func() error {
		if err := w.mayCommit(ctx); err != nil {
			return err
		}
		written := make(chan []T, 1) // the caller may not wait for them
		err := w.await(ctx, func() (bool, error) {
			ended := w.trace(ctx, conn, sql, args)
			rows, err := writeAlone(conn, row, sql, args)
			ended(err)
			written <- rows
			return err == nil || refusedAlone(err), err
		})
		if err == nil {
			rows = <-written
		}
		return err
	})
	return rows, err
}

// Exec is Write for a statement that returns no rows.
func Exec(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) error {
	_, err := Write(ctx, pool, func(pgx.CollectableRow) (struct{}, error) { return struct{}{}, nil }, sql, args...)
	return err
}

// writeAlone sends the statement between its BEGIN and COMMIT.
func writeAlone[T any](conn *pgx.Conn, row pgx.RowToFunc[T], sql string, args []any) ([]T, error) {
	b := &pgx.Batch{}
	b.Queue(beginLevel)
	b.Queue(bounds)
	var rows []T
	b.Queue(sql, args...).Query(func(found pgx.Rows) (err error) {
		rows, err = pgx.CollectRows(found, row)
		return err
	})
	b.Queue(`COMMIT`)
	err := conn.SendBatch(context.Background(), b).Close()
	if err != nil && conn.PgConn().TxStatus() == 'E' { // the statement failed, and the server passed over the COMMIT
		if _, failed := conn.Exec(context.Background(), `ROLLBACK`); failed != nil {
			err = fmt.Errorf("%w (and its ROLLBACK: %w)", err, failed)
		}
	}
	return rows, err
}

// trace tells the pool's tracer of the statement, as pgx would if it were sent by itself, and returns what tells of its
// end.
func (s *session) trace(ctx context.Context, conn *pgx.Conn, sql string, args []any) func(error) {
	if s.tracer == nil {
		return func(error) {}
	}
	ctx = s.tracer.TraceQueryStart(context.WithoutCancel(ctx), conn, pgx.TraceQueryStartData{SQL: sql, Args: args})
	return func(err error) { s.tracer.TraceQueryEnd(ctx, conn, pgx.TraceQueryEndData{Err: err}) }
}

// refusedAlone reports whether the error is the server's answer to the statement or to its COMMIT. It is one when the
// session goes on after it, whatever it says: the transaction did not happen.
func refusedAlone(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR"
}
