package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Write runs one statement in a READ COMMITTED transaction of its own, in one round trip, and returns the rows that it
// returns. It is InTx for whatever writes with a single statement, and a Pipeline of one: one that commits by itself is
// a COMMIT. No context reaches any part of it. When ctx ends before there is an answer, Write returns ErrCommitUnknown,
// which is then so for every row.
func Write[T any](
	ctx context.Context, pool *pgxpool.Pool, row pgx.RowToFunc[T], sql string, args ...any,
) ([]T, error) {
	return write(ctx, pool, (*writer).repeat, row, sql, args)
}

// WriteOnce is Write, but that a statement which collides with others is not repeated: its caller knows better what to
// do about that.
func WriteOnce[T any](
	ctx context.Context, pool *pgxpool.Pool, row pgx.RowToFunc[T], sql string, args ...any,
) ([]T, error) {
	return write(ctx, pool, func(_ *writer, once func() error) error { return once() }, row, sql, args)
}

func write[T any](
	ctx context.Context, pool *pgxpool.Pool, repeat repetition, row pgx.RowToFunc[T], sql string, args []any,
) ([]T, error) {
	var written []T
	err := pipelined(ctx, pool, repeat, func(b *pgx.Batch) {
		b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
			written, err = pgx.CollectRows(rows, row)
			return err
		})
	})
	if err != nil {
		return nil, err // and what is written is not looked at: the rows may still be on their way
	}
	return written, nil
}

// Exec is Write for a statement that returns no rows.
func Exec(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) error {
	_, err := Write(ctx, pool, func(pgx.CollectableRow) (struct{}, error) { return struct{}{}, nil }, sql, args...)
	return err
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
