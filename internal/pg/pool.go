// Package pg is how hosho's processes talk to PostgreSQL: a pool, transactions whose every end is known or said to be
// unknown, and wake-ups between processes.
//
// Its promise: InTx never reports a definite failure for a commit that may have happened, and Classify tells its
// callers what an error means for them. Nothing here keeps session state that a pooler in transaction mode would break,
// but for Listen, which has a connection of its own.
package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DefaultMaxConns is the pool's size unless the URL says pool_max_conns. Few are enough: transactions are short, and
// none is open across an RPC.
const DefaultMaxConns = 16

const (
	connectTimeout = 3 * time.Second
	// acquireTimeout is how long a transaction waits for a connection of the pool. Callers that would wait longer are
	// better told to come back: what is under way is served, and nobody hangs until the deadline.
	acquireTimeout = time.Second
)

// Config says to which database connections are made, and how.
type Config struct {
	URL         string          // postgres://user@host/name; see Parse
	Application string          // how pg_stat_activity names the connections
	Tracer      pgx.QueryTracer // is told of each query; may be nil
	Guard       *Guard          // says which servers will do; nil: any
}

// Open makes a pool. It connects lazily, so that a process may start before its database.
func Open(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	config, err := Parse(c.URL)
	if err != nil {
		return nil, err
	}
	c.tune(config.ConnConfig)
	leaver := newLeaver(c.Guard)
	leaver.attach(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	leaver.pool.Store(pool)
	return pool, nil
}

func (c Config) tune(config *pgx.ConnConfig) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	config.RuntimeParams["application_name"] = c.Application
	config.Tracer = c.Tracer
	if c.Guard != nil {
		c.Guard.watch(config)
	}
	// No named prepared statements: they are session state that poolers break, and their generic plans go wrong on a
	// queue that was once analyzed while it was empty.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	// A caller that gives up takes its query along, instead of leaving it to wait for a lock on the server.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Second}
	}
}

// ErrCommitUnknown says that a COMMIT was sent and its answer was lost: the transaction may have happened. Do it again
// under the same key.
var ErrCommitUnknown = errors.New("the outcome of the commit is unknown")

// collisions is how often InTx starts over when concurrent transactions collide, before its caller is told.
const collisions = 3

// begin names the level, whatever the server's default is: a statement that follows an ON CONFLICT must see what was in
// its way. And it has the server end a transaction whose client does nothing: a process that stands still, or a host
// that has gone without a word, would keep its rows locked until TCP gives up, which may be hours later. No statement
// here waits for anything but the database, so that ten seconds are long. It goes along with BEGIN, at the cost of no
// round trip, and for this transaction only, as a pooler needs it.
var begin = pgx.TxOptions{
	BeginQuery: `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10s'`,
}

// InTx runs f in a READ COMMITTED transaction. f may be called more than once and must use nothing but tx; it leaves
// its results in variables that it sets anew each time. Errors keep their meaning for Classify.
func InTx(ctx context.Context, pool *pgxpool.Pool, f func(tx pgx.Tx) error) error {
	conn, err := acquire(ctx, pool)
	if err != nil {
		return err
	}
	defer conn.Release()
	for range collisions {
		sent := false
		err = pgx.BeginTxFunc(ctx, conn, begin, func(tx pgx.Tx) error {
			err := f(tx)
			sent = err == nil // BeginTxFunc goes on to COMMIT
			return err
		})
		if sent && err != nil && !refused(err) {
			return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
		}
		if Classify(err) != Collision {
			return err
		}
	}
	return err
}

// acquire returns a connection, or an error that Classify calls Unreachable when there is none in time.
func acquire(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("get a connection to the database: %w", err)
	}
	return conn, nil
}

// refused reports whether the error is the server's answer to a COMMIT: the transaction did not happen.
func refused(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return !lost(answer)
	}
	return errors.Is(err, pgx.ErrTxCommitRollback) // f hid the failure of a statement, and the COMMIT was a ROLLBACK
}
