// Package pg is how hosho's processes talk to PostgreSQL: a pool, transactions whose every end is known or said to be
// unknown, servers that are not trusted with a commit, and wake-ups between processes.
//
// Its promise: InTx, Pipeline and Write never report a definite failure for a commit that may have happened, and never
// cancel one; Parse is the one way to read a URL; and Classify tells its callers what an error means for them. Nothing
// here keeps session state that a pooler in transaction mode would break, but for a Listener, which has a connection to
// itself.
package pg

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DefaultMaxConns is the pool's size unless the URL says pool_max_conns. Few are enough: transactions are short, and
// none is open across an RPC.
const DefaultMaxConns = 16

const (
	connectTimeout = 3 * time.Second
	// hostTimeout is for each of several hosts: while it lasts the next one is not tried.
	hostTimeout = time.Second
	// acquireTimeout is how long a transaction waits for a connection of the pool. Callers that would wait longer are
	// better told to come back: what is under way is served, and nobody hangs until the deadline.
	acquireTimeout = time.Second
	// statementCache is more than there are statements.
	statementCache = 512
)

// Config says to which database connections are made, and how.
type Config struct {
	URL         string          // postgres://user@host/name; see Parse
	Application string          // how pg_stat_activity names the connections
	Tracer      pgx.QueryTracer // is told of each query; may be nil
	Guard       *Guard          // says which servers will do, and has the log; nil: any, in silence

	MaxConns         int32         // the pool's size; 0: what the URL says, or DefaultMaxConns
	StatementTimeout time.Duration // how long the server works at a statement that reads; 0: no limit of ours

	preset bool // the pool's statements all come through this package: sessions may begin with what those want
}

// Open makes a pool. It connects lazily, so that a process may start before its database.
func Open(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	config, err := Parse(c.URL)
	if err != nil {
		return nil, err
	}
	c.tune(config.ConnConfig)
	if c.MaxConns > 0 {
		config.MaxConns = c.MaxConns
		config.MinConns = min(config.MinConns, c.MaxConns)
		config.MinIdleConns = min(config.MinIdleConns, c.MaxConns)
	}
	leaver, favourite, naming := &leaver{}, &favourite{}, &naming{log: slog.New(slog.DiscardHandler)}
	presetting := &presetting{}
	if c.Guard != nil {
		leaver, favourite, naming = c.Guard.leaver, c.Guard.favourite, c.Guard.naming
		presetting = c.Guard.presetting
	}
	// A pooler may lend a session that somebody else has LISTEN in: pgx would keep what comes there for ever.
	config.ConnConfig.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
	leaver.attach(config)
	c.giveSessions(config, naming, leaver, presetting)
	favourite.attach(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	leaver.add(pool)
	return pool, nil
}

func (c Config) tune(config *pgx.ConnConfig) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
		if severalHosts(config) {
			config.ConnectTimeout = hostTimeout
		}
	}
	config.RuntimeParams["application_name"] = c.Application
	config.Tracer = c.Tracer
	if c.Guard != nil {
		c.Guard.watch(config)
	}
	// What is known of a statement is not forgotten: asking again, outside of its transaction, is bounded by nothing.
	config.StatementCacheCapacity = max(config.StatementCacheCapacity, statementCache)
	config.DescriptionCacheCapacity = max(config.DescriptionCacheCapacity, statementCache)
	config.DialFunc = dialer().DialContext
}
