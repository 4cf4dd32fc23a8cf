package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/wait"
)

var (
	// ErrReadOnly says that a server takes no writes: it is a standby, or was told to be read-only.
	ErrReadOnly = errors.New("the database is read-only")
	// ErrUnsafe says that on a server a commit may vanish after it was acknowledged.
	ErrUnsafe = errors.New("acknowledged commits may be lost")
)

// Guard keeps a daemon off servers that it cannot write to, and off those on which an acknowledged commit may vanish.
// It looks at each new connection: after a failover that is another server, with settings of its own.
type Guard struct {
	log         *slog.Logger
	allowUnsafe bool
	doubt       wait.Bell
	leaver      *leaver    // has all pools that were opened with the guard leave a server at once
	favourite   *favourite // is theirs in common
	naming      *naming    // and so are these
	presetting  *presetting

	mu    sync.Mutex
	known string // the server that was logged last, and its settings
}

// NewGuard makes a Guard for one database, that of some pools and of what listens beside them. With allowUnsafe an
// unsafe server is complained of, and used.
func NewGuard(log *slog.Logger, allowUnsafe bool) *Guard {
	doubt := wait.NewBell()
	return &Guard{
		log: log, allowUnsafe: allowUnsafe, doubt: doubt, leaver: &leaver{doubt: doubt}, favourite: &favourite{},
		naming: &naming{log: log}, presetting: &presetting{},
	}
}

// Doubt rings when a server turned out to be no longer what it was.
func (g *Guard) Doubt() <-chan struct{} { return g.doubt }

// left returns how often the pools have left their server. Nobody's never do.
func (g *Guard) left() int64 {
	if g == nil {
		return 0
	}
	return g.leaver.resets.Load()
}

// Ready returns what a daemon asks before it serves: whether its database's server is still one that the guard lets it
// use, since settings change while connections last; and then another question. It is asked over a pool of its own: one
// that calls exhaust would have a busy daemon look like one that is broken.
func (g *Guard) Ready(pool *pgxpool.Pool, then func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := g.ask(ctx, pool)
		if errors.Is(err, ErrReadOnly) || errors.Is(err, ErrUnsafe) {
			g.leaver.reset() // nobody goes on with connections that would not be made any more
		}
		if err != nil {
			return err
		}
		return then(ctx)
	}
}

func (g *Guard) ask(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := acquire(ctx, pool)
	if err != nil {
		return meterOf(pool).note(ctx, err)
	}
	defer conn.Release()
	return g.inspect(ctx, conn.Conn().PgConn(), severalHosts(pool.Config().ConnConfig))
}

// watch has the guard look at each new connection before it is used. Of several hosts the next is tried when it refuses
// one.
func (g *Guard) watch(config *pgx.ConnConfig) {
	wanted := config.ValidateConnect // the URL's target_session_attrs
	failsOver := severalHosts(config)
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if wanted != nil {
			if err := wanted(ctx, conn); err != nil {
				return err
			}
		}
		return g.inspect(ctx, conn, failsOver)
	}
}

// inspect returns ErrReadOnly or ErrUnsafe, each with what was got, what is wanted and what to do. A server is logged
// once, and again when its settings have changed. failsOver says that the URL names several hosts.
func (g *Guard) inspect(ctx context.Context, conn *pgconn.PgConn, failsOver bool) error {
	s, err := readServer(ctx, conn)
	if err != nil {
		return fmt.Errorf("ask the server what it is: %w", err)
	}
	if err := s.writable(); err != nil {
		return err
	}
	risks := s.risks()
	g.tell(ctx, s, risks, failsOver)
	if len(risks) > 0 && !g.allowUnsafe {
		return fmt.Errorf("%w on the server at %s: %s; or start with --allow-unsafe-durability, where losing them "+
			"does no harm", ErrUnsafe, s.address, strings.Join(risks, "; "))
	}
	return nil
}

func (g *Guard) tell(ctx context.Context, s server, risks []string, failsOver bool) {
	g.mu.Lock()
	news := g.known != s.String()
	g.known = s.String()
	g.mu.Unlock()
	if !news {
		return
	}
	g.log.InfoContext(ctx, "database server", "address", s.address, "started", s.started, "version", s.version,
		"fsync", s.fsync, "full_page_writes", s.fullPageWrites, "synchronous_commit", s.commit,
		"synchronous_standby_names", s.standbys)
	if s.standbys == "" && failsOver {
		g.log.WarnContext(ctx, "no standby is synchronous: a failover loses acknowledged commits", "address", s.address,
			"setting", "synchronous_standby_names")
	}
	if len(risks) > 0 && g.allowUnsafe {
		g.log.WarnContext(ctx, "acknowledged commits may be lost", "address", s.address,
			"risks", strings.Join(risks, "; "))
	}
}
