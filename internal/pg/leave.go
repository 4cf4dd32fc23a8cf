package pg

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/wait"
)

// readOnlyTransaction is what a server answers that takes no writes any more: it is a standby now, or was told to be
// read-only. Its connections live on, and would be refused each write for ever.
const readOnlyTransaction = "25006"

// leaver makes pools leave a server that has become read-only. The connection that was told so is closed, and with it
// all others, those of pools that never write among them, which nobody would tell: those that are idle at once, those
// in use when they come back.
type leaver struct {
	changes atomic.Int64 // how often they have left because a connection was told so
	resets  atomic.Int64 // how often they have, for whatever reason
	doubt   wait.Bell    // rings when they do; nil: for nobody

	mu    sync.Mutex
	pools []*pgxpool.Pool
}

func (l *leaver) add(pool *pgxpool.Pool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pools = append(l.pools, pool)
}

// leaveKey is where a connection has the number of changes before it was made.
const leaveKey = "hosho: changes"

// attach has a pool's connections watched.
func (l *leaver) attach(config *pgxpool.Config) {
	before := config.ConnConfig.OnPgError
	config.ConnConfig.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if err.Code != readOnlyTransaction {
			return before == nil || before(conn, err)
		}
		l.leave(conn)
		return false
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.PgConn().CustomData()[leaveKey] = l.changes.Load()
		return nil
	}
}

// leave resets the pools once for each change: what another connection of the same age is told is no news.
func (l *leaver) leave(conn *pgconn.PgConn) {
	made, ok := conn.CustomData()[leaveKey].(int64)
	if !ok || !l.changes.CompareAndSwap(made, made+1) {
		return
	}
	l.reset()
	l.doubt.Ring()
}

// reset closes all connections.
func (l *leaver) reset() {
	l.resets.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, pool := range l.pools {
		pool.Reset()
	}
}
