package pg

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// cancelGrace is how long a statement may go on whose caller has gone, before a cancel request is sent. Most are
	// done by then, and their connection is as good as new: one that a request was sent for is closed, and two are
	// opened in its place, so that a client which resets its calls would cost far more than one which waits.
	cancelGrace = 100 * time.Millisecond
	// cancelTimeout is how long a statement may go on whose cancel request was sent.
	cancelTimeout = time.Second
	// requestTimeout is how long a cancel request may wait for its answer, which is that its connection is closed. A
	// pooler keeps it until it has a connection to the server, for ten seconds at most.
	requestTimeout = 12 * time.Second
)

// canceller takes a caller's statement along when the caller gives up, instead of leaving it to wait for a lock on the
// server. It is not there during a COMMIT, which has no caller's context.
//
// The request is waited for, as libpq does, and is not given up when the statement has ended: a PgBouncer of 1.18 to
// 1.20 ends itself, with everybody's connections, when the connection of a cancel request is closed before it was
// passed on.
type canceller struct {
	session  *session
	conn     *pgconn.PgConn
	request  *time.Timer // sends it
	answered chan struct{}
}

// HandleCancel is pgx's hook.
func (c *canceller) HandleCancel(context.Context) {
	answered := make(chan struct{})
	c.answered = answered
	c.request = time.AfterFunc(cancelGrace, func() {
		defer close(answered)
		c.session.cancelled.Store(true)
		_ = c.conn.Conn().SetDeadline(time.Now().Add(cancelTimeout)) // fails only when it is closed
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		_ = c.conn.CancelRequest(ctx) // the statement has a deadline besides
	})
}

// HandleUnwatchAfterCancel is pgx's hook. What comes next on the connection is a ROLLBACK at most: it is better not to
// be met by the request.
func (c *canceller) HandleUnwatchAfterCancel() {
	if c.request.Stop() { // the statement was quicker
		return
	}
	waited := time.NewTimer(cancelTimeout)
	defer waited.Stop()
	select {
	case <-c.answered:
	case <-waited.C:
	}
	_ = c.conn.Conn().SetDeadline(time.Time{})
}
