package pg

import (
	"context"
	"time"

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
	_ = notify(ctx, w.pool, w.channel, "")
}

func notify(ctx context.Context, pool *pgxpool.Pool, channel, payload string) error {
	ctx, cancel := context.WithTimeout(ctx, wakeTimeout)
	defer cancel()
	return Exec(ctx, pool, `SELECT pg_notify($1, $2)`, channel, payload)
}
