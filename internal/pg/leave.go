package pg

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// readOnlyTransaction is what a server answers that takes no writes any more: it is a standby now, or was told to be
// read-only. Its connections live on, and would be refused each write for ever.
const readOnlyTransaction = "25006"

// leaver makes a pool leave a server that has become read-only. The connection that was told so is closed, and with it
// all others: those that are idle at once, those in use when they come back.
type leaver struct {
	pool    atomic.Pointer[pgxpool.Pool] // nil until it is made
	changes atomic.Int64                 // how often it has left
	guard   *Guard                       // is told; may be nil
}

func newLeaver(guard *Guard) *leaver { return &leaver{guard: guard} }

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

// leave resets the pool once for each change: what another connection of the same age is told is no news.
func (l *leaver) leave(conn *pgconn.PgConn) {
	made, ok := conn.CustomData()[leaveKey].(int64)
	pool := l.pool.Load()
	if !ok || pool == nil || !l.changes.CompareAndSwap(made, made+1) {
		return
	}
	pool.Reset()
	if l.guard != nil {
		l.guard.doubt.Ring()
	}
}
