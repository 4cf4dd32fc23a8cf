package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/lock"

	"hosho/internal/wait"
)

const (
	lockPoll = time.Second      // between two attempts to get the lock
	lockWait = time.Minute      // in all
	pingWait = 10 * time.Second // for a second session
)

var (
	// ErrBusy says that others were migrating for a minute.
	ErrBusy = errors.New("another process is migrating this database, or has not ended (see pg_locks, locktype " +
		"advisory): migrate later")
	// ErrLockLost says that the session ended that kept others from migrating. Nothing was begun after that.
	ErrLockLost = errors.New("the session with the lock on migrations is gone: migrate again")
)

// locker is a goose lock.SessionLocker whose lock no session keeps. It is that of a transaction, which stays open while
// migrations run, on a connection of its own: a pooler in transaction mode leaves such a one its session until it ends.
// The key is that of goose's own lock, which earlier releases take.
type locker struct {
	config *pgx.ConnConfig
	conn   *pgx.Conn // in the transaction; nil without the lock
}

// SessionLock waits for the lock. migrating is the connection that the migrations then have.
func (l *locker) SessionLock(ctx context.Context, migrating *sql.Conn) error {
	conn, err := pgx.ConnectConfig(ctx, l.config.Copy())
	if err != nil {
		return fmt.Errorf("connect for the lock on migrations: %w", err)
	}
	l.conn = conn
	if err := l.acquire(ctx); err != nil {
		return errors.Join(err, l.release())
	}
	waiting, stop := context.WithTimeout(ctx, pingWait)
	defer stop()
	if err := migrating.PingContext(waiting); err != nil {
		return errors.Join(fmt.Errorf("migrations take two sessions, of the server or of a pooler before it, and the "+
			"second is not to be had: %w", err), l.release())
	}
	return nil
}

// keep has the server leave a transaction open that does nothing. Which of these settings there are depends on its
// version.
const keep = `
	SELECT set_config(name, '0', true)
	FROM pg_settings
	WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')`

// acquire leaves the transaction without a snapshot, as the simple protocol does: for one that is held an index that is
// built CONCURRENTLY would wait for ever.
func (l *locker) acquire(ctx context.Context) error {
	for began := time.Now(); ; wait.For(ctx, lockPoll) {
		locked, err := l.attempt(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("lock migrations: %w", err)
		case locked:
			return nil
		case time.Since(began) > lockWait:
			return ErrBusy
		}
	}
}

// attempt leaves no transaction open without the lock. Such an index waits for the end of each that had a snapshot when
// it began to wait: who migrates and who waits to migrate would wait for each other.
func (l *locker) attempt(ctx context.Context) (locked bool, err error) {
	if _, err := l.conn.Exec(ctx, `BEGIN ISOLATION LEVEL READ COMMITTED`); err != nil {
		return false, err
	}
	err = l.conn.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, pgx.QueryExecModeSimpleProtocol,
		lock.DefaultLockID).Scan(&locked)
	if err != nil {
		return false, err
	}
	last := `ROLLBACK`
	if locked {
		last = keep
	}
	_, err = l.conn.Exec(ctx, last, pgx.QueryExecModeSimpleProtocol)
	return locked, err
}

// held returns ErrLockLost when the lock is held no more. Before it is asked for, goose may make its own table.
func (l *locker) held(ctx context.Context) error {
	if l.conn == nil {
		return nil
	}
	if err := l.conn.Ping(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrLockLost, err)
	}
	return nil
}

// SessionUnlock ends the transaction, and the lock with it.
func (l *locker) SessionUnlock(ctx context.Context, _ *sql.Conn) error {
	if _, err := l.conn.Exec(ctx, `COMMIT`); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrLockLost, err), l.release())
	}
	return l.release()
}

func (l *locker) release() error {
	err := l.conn.Close(context.Background())
	l.conn = nil
	return err
}
