package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// beginRead names the level, as begin does: under a default of SERIALIZABLE even a statement that reads may be refused
// for a collision. A statement that writes is refused here, by each connection that meets it.
const beginRead = beginLevel + ` READ ONLY`

// Query reads with one statement, which is a READ COMMITTED transaction of its own, in one round trip when the
// connection knows the statement. It is pool.Query for what does not write, and finds its rows by an index; the end of
// ctx ends it, and so does the server after Config.StatementTimeout, which is ErrBusy. What is returned must be closed,
// as pgx's collectors do, and tells the error as well.
func Query(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (pgx.Rows, error) {
	return query(ctx, pool, pinned, 0, sql, args)
}

// QueryPatiently is Query for a statement that the server ends after patience, and not when it ends the pool's others.
// 0: like those.
func QueryPatiently(
	ctx context.Context, pool *pgxpool.Pool, patience time.Duration, sql string, args ...any,
) (pgx.Rows, error) {
	return query(ctx, pool, pinned, patience, sql, args)
}

// QueryInOrder is Query for a statement that reads a little from where an index begins or a key stands in it, in the
// order of that index. Whatever the statistics say, or do not say yet, nothing is sorted: a plan that sorts would read
// everything before.
func QueryInOrder(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (pgx.Rows, error) {
	return query(ctx, pool, inOrder, 0, sql, args)
}

// QueryWhole is Query for a statement that reads all of a table.
func QueryWhole(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (pgx.Rows, error) {
	return query(ctx, pool, whole, 0, sql, args)
}

func query(
	ctx context.Context, pool *pgxpool.Pool, plans string, patience time.Duration, sql string, args []any,
) (pgx.Rows, error) {
	for tries := int32(1); ; tries++ {
		conn, err := acquire(ctx, pool)
		if err != nil {
			return &rows{err: err}, meterOf(pool).note(ctx, err)
		}
		r := &rows{ctx: ctx, session: sessionOf(conn.Conn()), conn: conn, meter: meterOf(pool)}
		r.patience = r.session.patience
		if patience > 0 {
			r.patience = milliseconds(patience)
		}
		err = r.read(plans, sql, args)
		if err == nil {
			return r, nil
		}
		again := r.session.unnamed(err, tries)
		if again {
			r.meter = nil // nobody is told
		}
		if r.Close(); !again {
			return r, r.err
		}
	}
}

// read sends the statement along with its transaction. One that the connection does not know has pgx ask the server
// first what it takes and returns, and that waits for the locks for which the statement itself would: so the
// transaction, with its bounds, is begun before, in a round trip of its own, and ends in one: a pooler's session may
// not have the COMMIT that another has prepared, which would be told when the rows are read.
//
// Where the session has the bounds and the plans from its beginning, a statement that it knows is sent by itself. It
// was met in a transaction that only reads, so that none is known that writes.
func (r *rows) read(plans, sql string, args []any) (err error) {
	ended := r.session.trace(r.ctx, r.conn.Conn(), sql, args)
	r.finish = func() error {
		ended(err)
		return err
	}
	b := &pgx.Batch{}
	ahead := r.session.readAhead(beginRead, plans, r.patience)
	known := r.session.known[sql]
	single := known && len(ahead) == 1
	switch {
	case single:
		ahead = nil
	case !known:
		if err = r.tell(strings.Join(ahead, `; `)); err != nil {
			return err
		}
		ahead = nil
	}
	for _, sql := range ahead {
		b.Queue(sql)
	}
	if b.Queue(sql, args...); known && !single {
		b.Queue(commit)
	}
	results := r.conn.SendBatch(r.ctx, b)
	r.finish = func() error {
		err := results.Close()
		if err == nil && !known {
			err = r.tell(commit)
		}
		ended(err)
		if err != nil {
			clear(r.session.known) // pgx has forgotten what was in the batch
		} else {
			r.session.known[sql] = true
		}
		return err
	}
	for range ahead {
		if _, err = results.Exec(); err != nil {
			return err
		}
	}
	r.Rows, err = results.Query()
	return err
}

// tell sends what is no prepared statement, and has no parameters and returns no rows.
func (r *rows) tell(sql string) error {
	lent := lend(r.ctx)
	defer lent.end()
	_, err := r.conn.Conn().PgConn().Exec(lent, sql).ReadAll()
	return err
}

// Snapshot has f read with as many statements as it likes, all of which see one moment: what is written meanwhile is
// seen as a whole or not at all. Each of them is bounded and planned as Query's is. f may be called more than once, and
// leaves its results in variables that it sets anew each time.
func Snapshot(ctx context.Context, pool *pgxpool.Pool, f func(tx pgx.Tx) error) error {
	for tries := int32(1); ; tries++ {
		again, err := snapshot(ctx, pool, tries, f)
		if !again {
			return meterOf(pool).note(ctx, err)
		}
	}
}

// snapshot reads over one connection, which is closed when that is to be done again over another.
func snapshot(ctx context.Context, pool *pgxpool.Pool, tries int32, f func(tx pgx.Tx) error) (again bool, err error) {
	conn, err := acquire(ctx, pool)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	s := sessionOf(conn.Conn())
	moment := s.readAhead(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`,
		locally("idle_in_transaction_session_timeout", "10s")+`, `+pinned, s.patience)
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{BeginQuery: strings.Join(moment, `; `)}, f)
	if again = s.unnamed(err, tries); again {
		_ = conn.Conn().Close(ctx) // nobody uses it any more
	}
	return again, slow(ctx, s.patience, err)
}

// queryCanceled is what a statement is answered that took too long, or that somebody stopped.
const queryCanceled = "57014"

// slow makes ErrBusy of the end that the server makes of a statement which reads for too long. Its caller's own end of
// it looks the same, but for the context.
func slow(ctx context.Context, patience string, err error) error {
	var refused *pgconn.PgError
	if patience == "" || ctx.Err() != nil || !errors.As(err, &refused) || refused.Code != queryCanceled {
		return err
	}
	return fmt.Errorf("%w: reading took longer than %s: %w", ErrBusy, patience, err)
}

// rows gives its connection back when it has been read.
type rows struct {
	pgx.Rows // nil when there are none

	ctx      context.Context // of the query
	session  *session
	patience string        // when the server ends it, as the session's
	conn     *pgxpool.Conn // nil when it was given back
	finish   func() error  // the transaction
	meter    *meter        // of the pool
	err      error
}

// Next is that of pgx, and gives the connection back after the last row.
func (r *rows) Next() bool {
	if r.conn != nil && r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Close reads to the end of the transaction. A connection that stands in a failed one is closed by the pool.
func (r *rows) Close() {
	if r.conn == nil {
		return
	}
	if r.Rows != nil {
		r.Rows.Close()
	}
	r.err = r.meter.note(r.ctx, slow(r.ctx, r.patience, r.finish()))
	r.conn.Release()
	r.conn = nil
}

// Err returns what went wrong, with the statement or after it.
func (r *rows) Err() error { return r.err }
