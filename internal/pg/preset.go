package pg

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// presetting has the sessions of a daemon begin with the bounds and the plans that its transactions want. They are
// asked for in the packet that begins a connection, and nothing is ever set in a session: where a pooler stands
// between, the session is not the connection's own. One in transaction mode refuses the packet, or passes over what it
// does not know of it. Then each transaction sets them for itself, as it does in pools that are no daemon's.
type presetting struct {
	refused atomic.Bool // for good
}

// mark is a setting that means nothing. A session that has its value was begun by the packet that said so.
const mark = "hosho.session"

// watch takes note when what is asked for is refused. That connection is not made; the next one does without.
func (p *presetting) watch(config *pgx.ConnConfig) {
	before := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if unsupported(err) {
			p.refused.Store(true)
		}
		return before == nil || before(conn, err)
	}
}

// unsupported is what PgBouncer answers to a packet with a setting that it cannot carry from session to session.
func unsupported(err *pgconn.PgError) bool {
	return err.Code == "08P01" && strings.HasPrefix(err.Message, "unsupported startup parameter")
}

// ask asks for the settings of a session that only writes, or only reads, for as long as its patience says.
func (s *session) ask(config *pgx.ConnConfig) {
	s.marked = rand.Text()
	config.RuntimeParams[mark] = s.marked
	config.RuntimeParams["default_transaction_isolation"] = "read committed"
	for _, settings := range [][]string{writeBounds, pinnedPlans} {
		for i := 0; i < len(settings); i += 2 {
			config.RuntimeParams[settings[i]] = settings[i+1]
		}
	}
	config.RuntimeParams["statement_timeout"] = s.patience
}

// confirm looks whether the session has what was asked for, and is this connection's own: it then is the one that the
// server told of when the connection began.
func (s *session) confirm(ctx context.Context, conn *pgx.Conn) error {
	if s.marked == "" {
		return nil
	}
	results, err := conn.PgConn().Exec(ctx, `SELECT current_setting('`+mark+`', true), pg_backend_pid()`).ReadAll()
	if err != nil {
		return err
	}
	row := results[0].Rows[0]
	own := strconv.FormatUint(uint64(conn.PgConn().PID()), 10)
	s.preset = string(row[0]) == s.marked && string(row[1]) == own
	return nil
}
