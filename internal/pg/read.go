package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// beginRead names the level, as begin does: under a default of SERIALIZABLE even a statement that reads may be refused
// for a collision. A statement that writes is refused here.
const beginRead = beginLevel + ` READ ONLY`

// Query reads with one statement, in a READ COMMITTED transaction of its own, in one round trip when the connection
// knows the statement. It is pool.Query for what does not write; the end of ctx ends it, and so does the server after
// Config.StatementTimeout, which is ErrBusy. What is returned must be closed, as pgx's collectors do, and tells the
// error as well.
func Query(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (pgx.Rows, error) {
	return query(ctx, pool, nil, sql, args)
}

// QueryInOrder is Query for a statement that reads a little from where an index begins or a key stands in it, in the
// order of that index. Whatever the statistics say, or do not say yet, nothing is sorted: a plan that sorts would read
// everything before.
func QueryInOrder(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (pgx.Rows, error) {
	return query(ctx, pool, []string{`SET LOCAL enable_sort = off`}, sql, args)
}

// query reads with one statement, after some that say how.
func query(ctx context.Context, pool *pgxpool.Pool, ahead []string, sql string, args []any) (pgx.Rows, error) {
	conn, err := acquire(ctx, pool)
	if err != nil {
		return &rows{err: err}, err
	}
	s := sessionOf(conn.Conn())
	ahead = append([]string{beginRead}, ahead...)
	if s.patience != "" { // for this transaction only, as a pooler needs it
		ahead = append(ahead, `SET LOCAL statement_timeout = `+s.patience)
	}
	r := &rows{ctx: ctx, session: s, conn: conn}
	if s.patience != "" && !s.known[sql] {
		err = r.first(ahead, sql, args)
	} else {
		err = r.again(ahead, sql, args)
	}
	if err != nil {
		r.Close()
	}
	return r, r.err
}

// again reads in one round trip.
func (r *rows) again(ahead []string, sql string, args []any) (err error) {
	b := &pgx.Batch{}
	for _, statement := range ahead {
		b.Queue(statement)
	}
	b.Queue(sql, args...)
	b.Queue(`COMMIT`)
	ended := r.session.trace(r.ctx, r.conn.Conn(), sql, args)
	results := r.conn.SendBatch(r.ctx, b)
	r.finish = func() error {
		err := results.Close()
		ended(err)
		return err
	}
	for range ahead {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	r.Rows, err = results.Query()
	return err
}

// first reads with a statement that the connection does not know. pgx then asks the server what the statement takes and
// returns, and that waits for the locks for which the statement itself would: so the transaction, with its bounds, has
// begun before.
func (r *rows) first(ahead []string, sql string, args []any) error {
	tx, err := r.conn.BeginTx(r.ctx, pgx.TxOptions{BeginQuery: strings.Join(ahead, `; `)})
	if err != nil {
		r.finish = func() error { return err }
		return err
	}
	r.Rows, err = tx.Query(r.ctx, sql, args...)
	r.finish = func() error {
		if err := r.Rows.Err(); err != nil {
			rollBack(r.ctx, tx)
			return err
		}
		r.session.known[sql] = true
		return tx.Commit(r.ctx)
	}
	return err
}

// Snapshot has f read with as many statements as it likes, all of which see one moment: what is written meanwhile is
// seen as a whole or not at all. Each of them is bounded as Query's is.
func Snapshot(ctx context.Context, pool *pgxpool.Pool, f func(tx pgx.Tx) error) error {
	conn, err := acquire(ctx, pool)
	if err != nil {
		return err
	}
	defer conn.Release()
	s := sessionOf(conn.Conn())
	moment := `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = '10s'`
	if s.patience != "" {
		moment += `; SET LOCAL statement_timeout = ` + s.patience
	}
	return s.slow(ctx, pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{BeginQuery: moment}, f))
}

// queryCanceled is what a statement is answered that took too long, or that somebody stopped.
const queryCanceled = "57014"

// slow makes ErrBusy of the end that the server makes of a statement which reads for too long. Its caller's own end of
// it looks the same, but for the context.
func (s *session) slow(ctx context.Context, err error) error {
	var refused *pgconn.PgError
	if s.patience == "" || ctx.Err() != nil || !errors.As(err, &refused) || refused.Code != queryCanceled {
		return err
	}
	return fmt.Errorf("%w: reading took longer than %s: %w", ErrBusy, s.patience, err)
}

// rows gives its connection back when it has been read.
type rows struct {
	pgx.Rows // nil when there are none

	ctx     context.Context // of the query
	session *session
	conn    *pgxpool.Conn // nil when it was given back
	finish  func() error  // the transaction
	err     error
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
	r.err = r.session.slow(r.ctx, r.finish())
	r.conn.Release()
	r.conn = nil
}

// Err returns what went wrong, with the statement or after it.
func (r *rows) Err() error { return r.err }
