package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// beginRead names the level, as begin does: under a default of SERIALIZABLE even a statement that reads may be refused
// for a collision. A statement that writes is refused here.
const beginRead = beginLevel + ` READ ONLY`

// Query reads with one statement, in a READ COMMITTED transaction of its own, in one round trip. It is pool.Query for
// what does not write; the end of ctx ends it. What is returned must be closed, as pgx's collectors do, and tells the
// error as well.
func Query(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (pgx.Rows, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return &rows{err: err}, err
	}
	ended := sessionOf(conn.Conn()).trace(ctx, conn.Conn(), sql, args)
	b := &pgx.Batch{}
	b.Queue(beginRead)
	b.Queue(sql, args...)
	b.Queue(`COMMIT`)
	results := conn.SendBatch(ctx, b)
	r := &rows{results: results, conn: conn, ended: ended}
	if _, err = results.Exec(); err == nil {
		r.Rows, err = results.Query()
	}
	if err != nil {
		r.Close()
	}
	return r, r.err
}

// rows gives its connection back when it has been read.
type rows struct {
	pgx.Rows // nil when there are none

	results pgx.BatchResults
	conn    *pgxpool.Conn // nil when it was given back
	ended   func(error)
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
	r.err = r.results.Close()
	r.conn.Release()
	r.conn = nil
	r.ended(r.err)
}

// Err returns what went wrong, with the statement or after it.
func (r *rows) Err() error { return r.err }
