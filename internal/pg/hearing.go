package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// glance is how often it is looked whether the pools have left their server, which asks nobody anything.
	glance = time.Second
	// askTimeout is how long a server may take to say why it is not heard.
	askTimeout = 3 * time.Second
	// probeInterval is how long a listener hears nothing until it sends itself a wake-up, unless the pools have left
	// their server. Nothing else is asked while nothing happens. Who does not answer is found out by TCP before.
	probeInterval = time.Minute
	// ownInterval is how often it does so at least, however much it hears.
	ownInterval = 10 * time.Minute
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

	guard *Guard // may be nil
	left  int64  // how often its pools had left their server when that was looked at last

	probe  time.Time // when its own wake-up is sent, or should have been heard
	sent   bool      // one was, and was not heard yet
	proven bool      // one was heard
	last   time.Time // until when that is enough
}

// run hears until the connection is of no use any more.
func (h *hearing) run(ctx context.Context) error {
	for {
		if err := h.lookAfter(ctx); err != nil {
			return err
		}
		waiting, stop := context.WithDeadline(ctx, h.next())
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

// next returns until when there is nothing to do but hear.
func (h *hearing) next() time.Time {
	soon := time.Now().Add(glance)
	if h.guard == nil || h.probe.Before(soon) {
		return h.probe
	}
	return soon
}

func (h *hearing) hear(payload string) {
	if payload == h.own {
		now := time.Now()
		h.sent, h.proven, h.probe, h.last = false, true, now.Add(probeInterval), now.Add(ownInterval)
		h.back()
		return
	}
	h.postpone()
	if !strings.HasPrefix(payload, ownPrefix) { // which is another process's
		meterOf(h.pool).wakeHeard()
		h.heard(payload)
	}
}

// postpone lets whoever sent what was heard prove for all that it is, unless this one has yet to prove that it hears
// its own process. All wait for longer than who sent it does, and each for another time: one of them is the next.
func (h *hearing) postpone() {
	if h.proven && !h.sent {
		if later := time.Now().Add(probeInterval + rand.N(probeInterval/2)); later.Before(h.last) {
			h.probe = later
		} else {
			h.probe = h.last
		}
	}
}

// lookAfter does what is due, and returns an error when the connection is of no use.
func (h *hearing) lookAfter(ctx context.Context) error {
	now := time.Now()
	if left := h.guard.left(); left != h.left {
		h.left = left
		if !h.sent {
			h.probe = now // they may be elsewhere by now
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
// the one that the connection was told of when it was made. On a former primary nobody is woken, and it is ErrReadOnly.
func (h *hearing) unheard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := writable(ctx, h.conn.PgConn()); err != nil {
		return fmt.Errorf("%w: %w", errUnheard, err)
	}
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
