package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// session is what is known of one connection beside what pgx knows.
//
// A cancel request is a message to the server about a connection, not about a statement: what it meets there is ended.
// A COMMIT that waits for its standby is ended by answering it: the transaction is visible, and is on one server only.
// So none must meet a COMMIT: neither one that pgx sends during it, which it does when a context ends, a deadline of
// the socket passes, or a read fails; nor one that was sent during an earlier statement and is late.
type session struct {
	unfinished *unfinished
	patience   string          // the timeout of a statement that reads; "": there is none
	marked     string          // by which a session is known that began as it was asked to; "": it was not asked
	preset     bool            // it did: what transactions want is set already
	known      map[string]bool // the statements of which pgx need not ask the server first
	naming     *naming         // nil when the statements have no names
	leaver     *leaver         // of the pool
	tracer     pgx.QueryTracer // may be nil
	committing atomic.Bool     // no cancel request is sent
	cancelled  atomic.Bool     // one was sent, and may still be on its way: no COMMIT is sent
	alone      atomic.Bool     // the server has told that it stopped waiting for its standby
}

// sessionKey is where a connection has its session.
const sessionKey = "hosho: session"

// sessionOf returns a connection's session. One of a pool that Open did not make gets it here: its COMMITs have no
// caller's context either, but pgx is not kept from sending a cancel request when such a connection breaks.
func sessionOf(conn *pgx.Conn) *session {
	if s, ok := conn.PgConn().CustomData()[sessionKey].(*session); ok {
		return s
	}
	s := &session{
		unfinished: newUnfinished(1, nil), known: map[string]bool{}, tracer: conn.Config().Tracer,
	}
	conn.PgConn().CustomData()[sessionKey] = s
	return s
}

// giveSessions gives each connection of a pool a session. One that a cancel request may still be on its way to is
// closed instead of being used again: nobody else's COMMIT must meet it.
func (c Config) giveSessions(config *pgxpool.Config, naming *naming, leaver *leaver, presetting *presetting) {
	unfinished := newUnfinished(config.MaxConns, c.Guard)
	patience := ""
	if c.StatementTimeout > 0 {
		patience = milliseconds(c.StatementTimeout)
	}
	presetting.watch(config.ConnConfig)
	config.BeforeConnect = func(_ context.Context, config *pgx.ConnConfig) error { // a copy, for one connection
		s := &session{unfinished: unfinished, patience: patience, known: map[string]bool{}, leaver: leaver}
		switch {
		case config.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement:
		case naming.off.Load():
			config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		default:
			s.naming = naming
			if c.preset && !presetting.refused.Load() {
				s.ask(config)
			}
		}
		s.attach(config)
		return nil
	}
	made := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := made(ctx, conn); err != nil {
			return err
		}
		sendArrays(conn.TypeMap())
		return sessionOf(conn).confirm(ctx, conn)
	}
	config.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) {
		return !sessionOf(conn).cancelled.Load(), nil
	}
}

var errCommitting = errors.New("a COMMIT is not cancelled")

func (s *session) attach(config *pgx.ConnConfig) {
	s.tracer = config.Tracer
	config.Tracer = lender{s.tracer}
	dial := config.DialFunc // which pgx sends cancel requests with as well
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if s.committing.Load() {
			return nil, errCommitting
		}
		return dial(ctx, network, address)
	}
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if notice.Routine == "SyncRepWaitForLSN" { // its text is translated
			s.alone.Store(true)
		}
	}
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		conn.CustomData()[sessionKey] = s
		return &canceller{session: s, conn: conn}
	}
}

// unfinished counts the transactions of a pool that have begun and whose end is not known. They are as many as the pool
// is large at most, those that nobody waits for any more among them: a standby that stays away must not fill the
// server's max_connections with them.
type unfinished struct {
	most  int32
	count atomic.Int32
	left  unanswered
}

func newUnfinished(most int32, guard *Guard) *unfinished {
	log := slog.New(slog.DiscardHandler)
	if guard != nil {
		log = guard.log
	}
	return &unfinished{most: most, left: unanswered{log: log}}
}

// ErrUnanswered says that as many COMMITs as a pool has connections are without an answer: nothing more is written
// until there is one.
var ErrUnanswered = errors.New("too many commits are without an answer (is a synchronous standby away?)")

func (u *unfinished) begin() error {
	if u.count.Add(1) > u.most {
		u.count.Add(-1)
		return fmt.Errorf("%w: %d", ErrUnanswered, u.most)
	}
	return nil
}

func (u *unfinished) end() { u.count.Add(-1) }
