package pg

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/wait"
)

// A wake-up is a hint that there is something to read. It may be lost, late or doubled: whoever waits for one polls as
// well.

const (
	// wakeInterval is the least time between two NOTIFYs of one process on one channel. NOTIFY takes a lock that all
	// sessions of the database share, so it is sent outside of the transactions that matter, and not for each of them.
	wakeInterval = 2 * time.Millisecond
	// wakeTimeout bounds one NOTIFY; there will be another.
	wakeTimeout = time.Second
	// listenPause is the wait before a lost LISTEN connection is made anew.
	listenPause = 500 * time.Millisecond
	// listenCheck is how often a LISTEN connection is asked whether it still leads to the server that is written to:
	// one that nobody notifies is as silent as one that leads nowhere.
	listenCheck = 5 * time.Second
	// listenCheckTimeout is how long that server may take to answer.
	listenCheckTimeout = 3 * time.Second
)

// Waker sends wake-ups to every process that listens on a channel.
type Waker struct {
	pool    *pgxpool.Pool
	channel string
	wanted  wait.Bell
}

// NewWaker makes a Waker. It sends once Run is running.
func NewWaker(pool *pgxpool.Pool, channel string) *Waker {
	return &Waker{pool: pool, channel: channel, wanted: wait.NewBell()}
}

// Wake asks for a wake-up to be sent soon. It never blocks; calls that come close together share one.
func (w *Waker) Wake() { w.wanted.Ring() }

// Run sends the wake-ups that were asked for, until ctx ends.
func (w *Waker) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wanted:
		}
		w.send(ctx)
		wait.For(ctx, wakeInterval)
	}
}

// send drops its error: a wake-up is a hint, and a database that is down is noticed elsewhere.
func (w *Waker) send(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, wakeTimeout)
	defer cancel()
	_ = Exec(ctx, w.pool, `SELECT pg_notify($1, '')`, w.channel)
}

// Listen calls wake for each wake-up on a channel, and whenever it has connected, since some may have been missed. It
// keeps one connection of its own, makes it anew when it is lost, and returns when ctx ends. It logs why it has none
// once, and again when the reason is another: a password that is wrong for a night is not told twice a second.
func Listen(ctx context.Context, c Config, channel string, log *slog.Logger, wake func()) {
	c.Application += " listener"
	told := ""
	for ctx.Err() == nil {
		err := c.listenOnce(ctx, channel, func() { told = ""; wake() })
		if ctx.Err() != nil {
			return
		}
		if reason := err.Error(); reason != told {
			log.Warn("wake-ups lost, polling until they are back", "channel", channel, "error", err)
			told = reason
		}
		wait.For(ctx, listenPause)
	}
}

func (c Config) listenOnce(ctx context.Context, channel string, wake func()) error {
	poolConfig, err := Parse(c.URL)
	if err != nil {
		return err
	}
	config := poolConfig.ConnConfig
	c.tune(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `LISTEN `+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	for {
		wake()
		if err := awaitNotification(ctx, conn); err != nil {
			return err
		}
	}
}

// awaitNotification returns nil when there is one, and an error when there never will be.
func awaitNotification(ctx context.Context, conn *pgx.Conn) error {
	for {
		waiting, stop := context.WithTimeout(ctx, listenCheck)
		_, err := conn.WaitForNotification(waiting)
		stop()
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
		if err := stillWritable(ctx, conn); err != nil {
			return err
		}
	}
}

// stillWritable returns ErrReadOnly when the server has become a standby or read-only: writes go elsewhere now.
func stillWritable(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenCheckTimeout)
	defer cancel()
	return writable(ctx, conn.PgConn())
}
