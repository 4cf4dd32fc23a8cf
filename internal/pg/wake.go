package pg

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/wait"
)

// A wake-up is a hint that there is something to read. It may be lost, late or doubled: whoever waits for one polls as
// well.

const (
	// wakeInterval is the least time between two NOTIFYs of one process on one channel. NOTIFY takes a lock that all
	// sessions of the server share until it is committed, so one is sent for as many changes as can wait for it.
	wakeInterval = 2 * time.Millisecond
	// wakeTimeout bounds one NOTIFY; there will be another.
	wakeTimeout = time.Second
	// longestPayload is what one NOTIFY may name, in bytes: PostgreSQL takes less than 8,000.
	longestPayload = 7900
	// mostNamed is what one wake-up names, in as many NOTIFYs as that takes. One about more names nothing.
	mostNamed = 2000
)

// Waker sends wake-ups to every process that listens on a channel.
type Waker struct {
	pool    *pgxpool.Pool
	channel string
	wanted  wait.Bell

	mu    sync.Mutex
	about []string // what the next one names
	any   bool     // it names nothing: it may be about anything
}

// NewWaker makes a Waker. It sends once Run is running.
func NewWaker(pool *pgxpool.Pool, channel string) *Waker {
	return &Waker{pool: pool, channel: channel, wanted: wait.NewBell()}
}

// Wake asks for a wake-up to be sent soon. It never blocks; calls that come close together share one.
func (w *Waker) Wake() { w.WakeAbout() }

// WakeAbout is Wake for a wake-up that says what it is about: UUIDs, or shorter words, which its payload names with
// commas between. Without any it is empty, and about anything.
func (w *Waker) WakeAbout(about ...string) {
	w.mu.Lock()
	if w.about = append(w.about, about...); len(about) == 0 || len(w.about) > mostNamed {
		w.any = true
	}
	if w.any {
		w.about = nil
	}
	w.mu.Unlock()
	w.wanted.Ring()
}

// take returns the payloads of the next wake-up.
func (w *Waker) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	payloads := []string{""}
	if !w.any {
		payloads = Payloads(slices.Compact(w.about))
	}
	w.about, w.any = nil, false
	return payloads
}

// Payloads puts commas between what is named, UUIDs or shorter words, as many in one payload as it may hold. They are
// for the NOTIFYs of a transaction that tells by itself what it does.
func Payloads(about []string) (payloads []string) {
	const each = longestPayload / len("00000000-0000-0000-0000-000000000000,")
	for some := range slices.Chunk(about, each) {
		payloads = append(payloads, strings.Join(some, ","))
	}
	return payloads
}

// Run sends the wake-ups that were asked for, until ctx ends. Nothing wakes it when the interval is over and there is
// nothing to send.
func (w *Waker) Run(ctx context.Context) {
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wanted:
		}
		if left := wakeInterval - time.Since(last); left > 0 {
			wait.For(ctx, left)
		}
		w.send(ctx)
		last = time.Now()
	}
}

// send counts its error and drops it: a wake-up is a hint, and a database that is down is noticed elsewhere.
func (w *Waker) send(ctx context.Context) {
	if payloads := w.take(); len(payloads) > 0 {
		meterOf(w.pool).wakeSent(ctx, notify(ctx, w.pool, w.channel, payloads...))
	}
}

// Unheard reports whether a transaction has failed because it was to send a NOTIFY and the server's queue of them is
// full (54000, program_limit_exceeded): somebody has listened and then kept a transaction open for days. Nothing was
// written; without the NOTIFY it can be.
func Unheard(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "54000"
}

func notify(ctx context.Context, pool *pgxpool.Pool, channel string, payloads ...string) error {
	ctx, cancel := context.WithTimeout(ctx, wakeTimeout)
	defer cancel()
	return Exec(ctx, pool, `SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS p (payload)`, channel, payloads)
}
