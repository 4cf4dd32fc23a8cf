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

const commit = `COMMIT`

// Pipeline runs statements that do not wait for each other's results in one READ COMMITTED transaction, in one round
// trip when the connection knows them: BEGIN and its bounds, what queue adds, and the COMMIT. All of it happens or
// nothing does, and no context reaches any part of it. When ctx ends before there is an answer, Pipeline returns
// ErrCommitUnknown, as it does when a callback complains of anything but the server's own answer: by then the COMMIT
// was sent.
//
// queue is called anew each time that the transaction starts over. The callbacks of what it adds run one after the
// other, in a goroutine of their own, which may still run when nothing waits for it any more: what they set counts, and
// may be looked at, when Pipeline has returned nil.
func Pipeline(ctx context.Context, pool *pgxpool.Pool, queue func(b *pgx.Batch)) error {
	return pipelined(ctx, pool, (*writer).repeat, queue)
}

func pipelined(ctx context.Context, pool *pgxpool.Pool, repeat repetition, queue func(b *pgx.Batch)) error {
	return withWriter(ctx, pool, repeat, func(w *writer) error {
		if err := w.mayCommit(ctx); err != nil {
			return err
		}
		p := w.pipeline(queue)
		return w.await(ctx, func() (bool, error) {
			ended := p.trace(ctx)
			err := p.run()
			ended(err)
			return err == nil || uncommitted(err), err
		})
	})
}

// pipeline is a transaction that is sent as one batch.
type pipeline struct {
	*session

	conn       *pgx.Conn
	batch      *pgx.Batch
	statements []*pgx.QueuedQuery // those of the caller
	ahead      []string           // how a transaction begins
	begun      bool               // the batch itself has that, or needs none
}

// pipeline makes a batch of what queue adds. A statement that the connection does not know has pgx ask the server first
// what it takes and returns, in a round trip of its own. That waits for the locks for which the statement itself would:
// so the transaction, with its bounds, is begun before, in another one.
//
// Where the session has the bounds from its beginning, a single statement needs neither BEGIN nor COMMIT: it is a
// transaction by itself, which is committed before the server says that it is ready for the next.
func (w *writer) pipeline(queue func(b *pgx.Batch)) *pipeline {
	p := &pipeline{session: w.session, conn: w.conn.Conn(), batch: &pgx.Batch{}, ahead: w.ahead(), begun: true}
	queue(p.batch)
	p.statements = p.batch.QueuedQueries
	if len(p.ahead) == 1 && len(p.statements) == 1 {
		return p
	}
	for _, q := range p.statements {
		p.begun = p.begun && p.known[q.SQL]
	}
	if p.begun {
		p.batch = &pgx.Batch{}
		for _, sql := range p.ahead {
			p.batch.Queue(sql)
		}
		p.batch.QueuedQueries = append(p.batch.QueuedQueries, p.statements...)
	}
	p.batch.Queue(commit)
	return p
}

// run returns when the transaction has ended, one way or the other.
func (p *pipeline) run() error {
	if !p.begun {
		begin := strings.Join(p.ahead, `; `)
		_, err := p.conn.PgConn().Exec(context.Background(), begin).ReadAll() // which no tracer is told of
		if err != nil {
			return notBegun{err}
		}
	}
	err := p.conn.SendBatch(context.Background(), p.batch).Close()
	if err == nil {
		for _, q := range p.statements {
			p.known[q.SQL] = true
		}
		return nil
	}
	clear(p.known) // pgx has forgotten what was in the batch
	if status := p.conn.PgConn().TxStatus(); status != 'I' && !p.conn.IsClosed() {
		// A statement failed and the server passed over the COMMIT, or the COMMIT was never sent.
		if _, failed := p.conn.Exec(context.Background(), `ROLLBACK`); failed != nil {
			err = fmt.Errorf("%w (and its ROLLBACK: %w)", err, failed)
		}
	}
	return err
}

// trace tells the pool's tracer of the caller's statements, as pgx would if they were sent by themselves, and returns
// what tells of their end.
func (p *pipeline) trace(ctx context.Context) func(error) {
	if p.tracer == nil {
		return func(error) {}
	}
	ended := make([]func(error), len(p.statements))
	for i, q := range p.statements {
		ended[i] = p.session.trace(ctx, p.conn, q.SQL, q.Arguments)
	}
	return func(err error) {
		for _, end := range ended {
			end(err)
		}
	}
}

// notBegun is why there is no transaction.
type notBegun struct{ error }

func (e notBegun) Unwrap() error { return e.error }

// uncommitted reports whether an error says that a pipeline's transaction did not happen. The server's answer to a
// statement or to the COMMIT does, whatever it is, when the session goes on after it; and so does what failed before
// the COMMIT was sent.
func uncommitted(err error) bool {
	var refused *pgconn.PgError
	var early pgx.ErrPreprocessingBatch
	var none notBegun
	return errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR" ||
		errors.As(err, &early) || errors.As(err, &none)
}
