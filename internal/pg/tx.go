package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/crew"
)

// ErrCommitUnknown says that a COMMIT was sent and that it is not known what became of it: the transaction may have
// happened, or may still happen. Do it again under the same key.
var ErrCommitUnknown = errors.New("the outcome of the commit is unknown")

// ErrNotReplicated comes along with ErrCommitUnknown when the transaction happened on this server, which then stopped
// waiting for its synchronous standby to have it too. To find what it wrote proves nothing.
var ErrNotReplicated = errors.New("the server stopped waiting for its synchronous standby")

// collisions is how often a transaction starts over that collides with others, before its caller is told.
const collisions = 3

// beginLevel is how a transaction that writes begins. It names the level, whatever the server's default is: a statement
// that follows an ON CONFLICT must see what was in its way. And it has the server end a transaction whose client does
// nothing: a process that stands still, or a host that has gone without a word, would keep its rows locked until TCP
// gives up, which may be hours later. No statement here waits for anything but the database, so that ten seconds are
// long.
//
// What commits is bounded by nothing but the server: whoever waits for a lock for too long is refused by it. And what
// tells that the server stopped waiting for its standby is a WARNING, which a database may be set to keep to itself.
//
// All of it goes along with BEGIN, at the cost of no round trip, and for this transaction only, as a pooler needs it;
// unless the session began with it.
const beginLevel = `BEGIN ISOLATION LEVEL READ COMMITTED`

// InTx runs f in a READ COMMITTED transaction. f may be called more than once and must use nothing but tx; it leaves
// its results in variables that it sets anew each time. Errors keep their meaning for Classify.
//
// The statements of f are cancelled when the context that f gives them ends, and a transaction whose ctx is over is not
// committed. The COMMIT itself is never cancelled. When ctx ends while it has no answer, InTx returns ErrCommitUnknown
// and leaves it to itself: its connection is the pool's no more, and is read until the answer comes, the server is
// gone, or the process ends. With as many of those as the pool is large, it returns ErrUnanswered at once.
func InTx(ctx context.Context, pool *pgxpool.Pool, f func(tx pgx.Tx) error) error {
	return withWriter(ctx, pool, (*writer).repeat, func(w *writer) error { return w.inTx(ctx, f) })
}

// repetition runs a transaction, and again when it thinks so.
type repetition func(w *writer, once func() error) error

// withWriter has a writer do what writes, until it is done or refused.
func withWriter(ctx context.Context, pool *pgxpool.Pool, repeat repetition, once func(w *writer) error) error {
	for tries := int32(1); ; tries++ {
		w, err := newWriter(ctx, pool)
		again := false
		if err == nil {
			again, err = w.write(tries, repeat, once)
		}
		if !again {
			return meterOf(pool).note(ctx, err)
		}
	}
}

// write does so over one connection, which is closed when that is to be done again over another.
func (w *writer) write(tries int32, repeat repetition, once func(w *writer) error) (again bool, err error) {
	defer w.end()
	err = repeat(w, func() error { return once(w) })
	if again = w.unnamed(err, tries); again {
		_ = w.conn.Conn().Close(context.Background()) // nobody uses it any more
	}
	return again, err
}

// writer is a connection that one caller writes over, and the right to do so.
type writer struct {
	*session

	conn *pgxpool.Conn
	left bool // to a COMMIT that nobody waits for any more
}

// newWriter returns an error that Classify calls Busy or Unreachable when there is no connection in time, or no right
// to one.
func newWriter(ctx context.Context, pool *pgxpool.Pool) (*writer, error) {
	conn, err := acquire(ctx, pool)
	if err != nil {
		return nil, err
	}
	s := sessionOf(conn.Conn())
	if err := s.unfinished.begin(); err != nil {
		conn.Release()
		return nil, err
	}
	return &writer{session: s, conn: conn}, nil
}

// end gives the right back before the connection: whoever waits for that begins at once.
func (w *writer) end() {
	if !w.left {
		w.unfinished.end()
		w.conn.Release()
	}
}

// repeat starts over when concurrent transactions collide.
func (w *writer) repeat(once func() error) (err error) {
	for range collisions {
		if err = once(); Classify(err) != Collision {
			return err
		}
	}
	return err
}

func (w *writer) inTx(ctx context.Context, f func(tx pgx.Tx) error) error {
	tx, err := w.begin(ctx)
	if err != nil {
		return err
	}
	committing := false
	defer func() { // f may panic
		if !committing {
			rollBack(ctx, tx)
		}
	}()
	if err := f(tx); err != nil {
		return err
	}
	if err := w.mayCommit(ctx); err != nil {
		return err
	}
	committing = true
	return w.await(ctx, func() (bool, error) {
		err := tx.Commit(context.Background())
		return answered(err), err
	})
}

// begin sends BEGIN and its bounds as prepared statements, which costs the server less than their text does. Where it
// fails within the transaction, the pool closes the connection.
func (w *writer) begin(ctx context.Context) (pgx.Tx, error) {
	b := &pgx.Batch{}
	ahead := w.ahead()
	b.BeginTx(pgx.TxOptions{BeginQuery: ahead[0]})
	for _, sql := range ahead[1:] {
		b.Queue(sql)
	}
	results := w.conn.SendBatch(ctx, b)
	err := results.Close()
	return results.Tx(), err
}

// rollbackTimeout is for the answer to a ROLLBACK, whose caller may have given up.
const rollbackTimeout = time.Second

// rollBack closes the connection where it fails, and the server rolls back then.
func rollBack(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = tx.Rollback(ctx) // what failed before is what the caller is told
}

// mayCommit returns an error, and nothing is written, when the caller has given up, or when a cancel request that was
// meant for an earlier statement might meet the COMMIT.
func (w *writer) mayCommit(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("not committed: %w", context.Cause(ctx))
	case w.cancelled.Load():
		return fmt.Errorf("not committed after a statement was cancelled: %w", context.Canceled)
	}
	return nil
}

// await runs what commits, which reports whether the server has answered, and waits for it as long as the caller does.
// No context reaches it, and no cancel request is sent meanwhile.
func (w *writer) await(ctx context.Context, commit func() (answered bool, err error)) error {
	w.alone.Store(false)
	w.committing.Store(true)
	var result error
	done := make(chan struct{})
	conn := w.conn.Conn()
	crew.Go(func() {
		defer close(done)
		answered, err := commit()
		switch {
		case !answered: // and no cancel request is sent: the server may still be at it
			_ = conn.Close(context.Background()) // nobody uses it any more
			err = fmt.Errorf("%w: %w", ErrCommitUnknown, err)
		case err == nil && w.alone.Load():
			err = fmt.Errorf("%w: %w", ErrCommitUnknown, ErrNotReplicated)
			fallthrough
		default:
			w.committing.Store(false)
			w.unfinished.left.answered()
		}
		result = err
	})
	select {
	case <-done:
		return result
	case <-ctx.Done():
	}
	select {
	case <-done:
		return result
	default:
	}
	w.leave(done)
	return fmt.Errorf("%w: %w", ErrCommitUnknown, context.Cause(ctx))
}

// leave takes the connection out of the pool, which neither hands it out nor waits for it when it is closed, and
// closes it after the answer. Until then the transaction counts as unfinished.
func (w *writer) leave(done <-chan struct{}) {
	conn := w.conn.Hijack()
	w.left = true
	go func() {
		w.unfinished.left.watch(done)
		if !w.committing.Load() { // it was answered, when it still counted
			w.unfinished.left.answered()
		}
		_ = conn.Close(context.Background()) // nobody uses it any more
		w.unfinished.end()
	}()
}

// ErrBusy says that nothing was done, because there was too much to do: no connection of the pool became free in time,
// or a statement that reads took longer than it may.
var ErrBusy = errors.New("the database is busy")

// acquire returns a connection, or an error when there is none in time: ErrBusy when all are in use, and else one that
// Classify calls Unreachable.
func acquire(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	defer meterOf(pool).waited(time.Now())
	conn, err := pool.Acquire(bounded)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && unsupported(refused) { // and is not asked for any more, if it was not the URL's
		conn, err = pool.Acquire(bounded)
	}
	if err != nil {
		if bounded.Err() != nil && ctx.Err() == nil && pool.Stat().IdleConns() > 0 {
			// There were connections to be had, and the one that was tried is silent, as the others to that host are.
			pool.Reset()
		}
		if stat := pool.Stat(); bounded.Err() != nil && stat.AcquiredConns() >= stat.MaxConns() {
			return nil, fmt.Errorf("%w: all %d connections of the pool are in use (a COMMIT that waits for its "+
				"standby, a lock, or a pool that is too small?): %w", ErrBusy, stat.MaxConns(), err)
		}
		return nil, fmt.Errorf("get a connection to the database: %w", err)
	}
	return conn, nil
}

// answered reports whether the error is the server's answer to a COMMIT: the transaction happened, or it did not.
func answered(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return !lost(answer)
	}
	// f hid the failure of a statement, and the COMMIT was a ROLLBACK.
	return err == nil || errors.Is(err, pgx.ErrTxCommitRollback)
}
