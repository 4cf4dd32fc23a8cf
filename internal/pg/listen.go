package pg

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/wait"
)

const (
	// listenPause is the wait before a lost LISTEN connection is made anew.
	listenPause = 500 * time.Millisecond
	// unheardPause is that wait where a new connection does not hear either: somebody has to change a URL.
	unheardPause = time.Minute
	// lostPoll is how often it is looked for news while wake-ups are lost.
	lostPoll = 100 * time.Millisecond
)

// Listener hears the wake-ups on a channel, over one connection of its own, which it makes anew when it is lost.
//
// One that nobody notifies is as silent as one that cannot hear: since it leads to another database than the one that
// is written to, or through a pooler that has given its session to somebody else. So the listener sends itself a
// wake-up, as all others are sent, when it has connected, and when it has heard nothing for a minute. While that is not
// heard, wake-ups are lost.
type Listener struct {
	pool    *pgxpool.Pool
	channel string
	log     *slog.Logger
	own     string // the payload of the wake-ups that it sends itself

	lost atomic.Bool
	told string // why they are lost, as the log has it
}

// NewListener makes a Listener for the channel of those who send over the pool. It listens once Run is running.
func NewListener(pool *pgxpool.Pool, channel string, log *slog.Logger) *Listener {
	return &Listener{pool: pool, channel: channel, log: log, own: ownPrefix + rand.Text()}
}

// Poll returns how often one had better look by oneself who usually does so at an interval: more often while wake-ups
// are lost.
func (l *Listener) Poll(usual time.Duration) time.Duration {
	if l.lost.Load() {
		return min(usual, lostPoll)
	}
	return usual
}

// Run tells what each wake-up says, until ctx ends. That is a hint like the wake-up, and from anybody who may connect:
// "" says nothing, and is told as well whenever it has connected or wake-ups are lost from now on, since some may have
// been missed. c is how it connects; behind a pooler in transaction mode its URL has to be another one than the pool's,
// which leads to the server itself. Why wake-ups are lost is logged once, and again when the reason is another: a
// password that is wrong for a night is not told twice a second.
func (l *Listener) Run(ctx context.Context, c Config, heard func(payload string)) {
	c.Application += " listener"
	for ctx.Err() == nil {
		pause, err := l.listen(ctx, c, heard)
		if ctx.Err() != nil {
			return
		}
		if reason := err.Error(); reason != l.told {
			l.log.Warn("wake-ups lost, polling until they are back", "channel", l.channel, "error", err)
			l.told = reason
		}
		if !l.lost.Swap(true) {
			meterOf(l.pool).wakesLost()
			heard("")
		}
		wait.For(ctx, pause)
	}
}

// back notes that wake-ups are heard.
func (l *Listener) back() {
	if l.told != "" {
		l.log.Info("wake-ups are back", "channel", l.channel)
		l.told = ""
	}
	l.lost.Store(false)
}

// listen returns why a connection is of no use any more, and how long to wait before the next.
func (l *Listener) listen(ctx context.Context, c Config, heard func(string)) (time.Duration, error) {
	config, err := c.Single()
	if err != nil {
		return listenPause, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return listenPause, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `LISTEN `+pgx.Identifier{l.channel}.Sanitize()); err != nil {
		return listenPause, err
	}
	heard("")
	h := &hearing{
		Listener: l, conn: conn, heard: heard, guard: c.Guard, left: c.Guard.left(), probe: time.Now(),
	}
	err = h.run(ctx)
	if errors.Is(err, errUnheard) && !h.proven {
		return unheardPause, err
	}
	return listenPause, err
}
