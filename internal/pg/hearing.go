package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// listenCheck is how often a LISTEN connection is asked whether it still leads to a server that is written to.
	listenCheck = 5 * time.Second
	// listenCheckTimeout is how long that server may take to answer.
	listenCheckTimeout = 3 * time.Second
	// probeInterval is how often a listener sends itself a wake-up. It is a write, and is to cost next to nothing.
	probeInterval = time.Minute
	// hearWithin is how long that one may take to be heard, which is a millisecond as a rule.
	hearWithin = 3 * time.Second
)

// ownPrefix is what the payload of a wake-up begins with that a listener has sent itself, and no other.
const ownPrefix = "own "

// errUnheard says that a listener did not hear the wake-up that it had sent itself.
var errUnheard = errors.New("a NOTIFY of this process was not heard")

// hearing is one LISTEN connection, and when it is to be looked after.
type hearing struct {
	*Listener

	conn  *pgx.Conn
	heard func(payload string)

	check  time.Time // when it is asked whether its server is the right one
	probe  time.Time // when its own wake-up is sent, or should have been heard
	sent   bool      // one was, and was not heard yet
	proven bool      // one was heard
}

// run hears until the connection is of no use any more.
func (h *hearing) run(ctx context.Context) error {
	for {
		if err := h.lookAfter(ctx); err != nil {
			return err
		}
		due := h.check
		if h.probe.Before(due) {
			due = h.probe
		}
		waiting, stop := context.WithDeadline(ctx, due)
		note, err := h.conn.WaitForNotification(waiting)
		stop()
		switch {
		case err == nil:
			h.hear(note.Payload)
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return err
		}
	}
}

func (h *hearing) hear(payload string) {
	switch {
	case payload == h.own:
		h.sent, h.proven, h.probe = false, true, time.Now().Add(probeInterval)
		h.back()
	case strings.HasPrefix(payload, ownPrefix): // another process's own
	default:
		h.heard(payload)
	}
}

// lookAfter does what is due, and returns an error when the connection is of no use.
func (h *hearing) lookAfter(ctx context.Context) error {
	now := time.Now()
	if !now.Before(h.check) {
		h.check = now.Add(listenCheck)
		if err := stillWritable(ctx, h.conn); err != nil {
			return err
		}
	}
	switch {
	case now.Before(h.probe):
		return nil
	case h.sent:
		return h.unheard(ctx)
	}
	// A pool that has no connection left, or no server, says nothing about this one: it is tried again.
	h.sent = notify(ctx, h.pool, h.channel, h.own) == nil
	h.probe = time.Now().Add(hearWithin)
	return nil
}

// unheard returns errUnheard with what the connection knows of the reason. A pooler shows by the session, which is not
// the one that the connection was told of when it was made.
func (h *hearing) unheard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, listenCheckTimeout)
	defer cancel()
	var session uint32
	err := h.conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&session)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUnheard, err)
	case session != h.conn.PgConn().PID():
		return fmt.Errorf("%w: LISTEN goes through a pooler, which has to be in session mode, or needs the URL of the "+
			"server itself: --listen-database-url", errUnheard)
	}
	return fmt.Errorf("%w: LISTEN goes to another database than what is written: give --listen-database-url the one "+
		"that --database-url leads to", errUnheard)
}

// stillWritable returns ErrReadOnly when the server has become a standby or read-only: writes go elsewhere now.
func stillWritable(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenCheckTimeout)
	defer cancel()
	return writable(ctx, conn.PgConn())
}
