package pg_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// listen starts a listener on a channel with a name that needs to be quoted. It returns what it hears, after it has
// connected.
func listen(t *testing.T, db *pgtest.Database) <-chan struct{} {
	t.Helper()
	_, heard := listener(t, db)
	return heard
}

func listener(t *testing.T, db *pgtest.Database) (*pg.Listener, <-chan struct{}) {
	t.Helper()
	heard := make(chan struct{}, 1000)
	l := pg.NewListener(db.Pool, channel, discard)
	run(t, func(ctx context.Context) {
		c := pg.Config{URL: db.URL, Application: "test"}
		l.Run(ctx, c, func(string) { heard <- struct{}{} })
	})
	receive(t, "the listener connects", heard)
	return l, heard
}

const channel = `the "outbox"`

func TestListenHearsWhatAWakerSends(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	heard := listen(t, db)
	w := pg.NewWaker(db.Pool, channel)
	run(t, w.Run)
	for range 20 {
		w.Wake()
		receive(t, "a wake-up", heard)
	}
	execute(t, db.Pool, `SELECT pg_notify('another channel', '')`)
	execute(t, db.Pool, `SELECT pg_notify($1, '')`, channel)
	receive(t, "a wake-up", heard)
	if n := len(heard); n != 0 {
		t.Errorf("heard %d wake-ups more than were sent", n)
	}
}

// The connection of the listener is killed. It calls when it is lost, connects anew, calls once because it may have
// missed something, and hears again.
func TestListenComesBack(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	l, heard := listener(t, db)
	for range 2 {
		eventually(t, "the listener knows that it hears", func() bool { return l.Poll(time.Hour) == time.Hour })
		killed := count(t, db.Pool, `
			SELECT count(pg_terminate_backend(pid))
			FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'test listener'`)
		if killed != 1 {
			t.Fatalf("killed %d listeners, want 1", killed)
		}
		receive(t, "the listener is lost", heard)
		receive(t, "the listener is back", heard)
		execute(t, db.Pool, `SELECT pg_notify($1, '')`, channel)
		receive(t, "a wake-up", heard)
	}
}

// notifies counts the NOTIFYs that are sent, and lets the first wait until it is told to go on.
type notifies struct {
	sent    atomic.Int32
	sending chan struct{}
	goOn    chan struct{}
}

func (n *notifies) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if n.sent.Add(1) == 1 {
		close(n.sending)
		<-n.goOn
	}
	return ctx
}

func (*notifies) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// While one wake-up is being sent, a thousand more are asked for. They share one, and it is sent: none of those who
// asked could be sure that the first was late enough for them.
func TestWakeUpsThatComeCloseTogetherShareOne(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	heard := listen(t, db)
	config := db.Pool.Config()
	n := &notifies{sending: make(chan struct{}), goOn: make(chan struct{})}
	config.ConnConfig.Tracer = n
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := pg.NewWaker(pool, channel)
	run(t, w.Run)
	w.Wake()
	receive(t, "the first is being sent", n.sending)
	for range 1000 {
		w.Wake()
	}
	close(n.goOn)
	for range 2 {
		receive(t, "a wake-up", heard)
	}
	for range 50 { // others' wake-ups, while this waker sends what it still has to
		execute(t, db.Pool, `SELECT pg_notify($1, '')`, channel)
		receive(t, "a wake-up", heard)
	}
	if got := n.sent.Load(); got != 2 {
		t.Errorf("got %d wake-ups sent, want 2: one, and one for the thousand", got)
	}
}

// A database that is gone costs a wake-up, and the waker goes on.
func TestAWakerOutlivesItsDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	heard := listen(t, db)
	w := pg.NewWaker(db.Pool, channel)
	run(t, w.Run)
	w.Wake()
	receive(t, "a wake-up", heard)
	execute(t, db.Pool, `
		SELECT pg_terminate_backend(pid)
		FROM pg_stat_activity
		WHERE datname = current_database() AND application_name <> 'test listener' AND pid <> pg_backend_pid()`)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(longWait); ; {
		w.Wake() // the first ones may be lost
		select {
		case <-heard:
			return
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no wake-up came in %s", longWait)
		}
	}
}

// attempts is a tracer that is told of each attempt to connect.
type attempts chan struct{}

func (a attempts) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	a <- struct{}{}
	return ctx
}

func (attempts) TraceConnectEnd(context.Context, pgx.TraceConnectEndData) {}

func (attempts) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (attempts) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// There is no such database, for as long as it takes a person to notice. The log says so once.
func TestWhatKeepsAListenerOutIsToldOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	var log bytes.Buffer
	tried := make(attempts, 100)
	c := pg.Config{URL: strings.Replace(db.URL, "?", "_elsewhere?", 1), Application: "test", Tracer: tried}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pg.NewListener(db.Pool, channel, slog.New(slog.NewTextHandler(&log, nil))).Run(ctx, c, func(string) {})
	}()
	for range 3 {
		receive(t, "an attempt", (<-chan struct{})(tried))
	}
	stop()
	<-ended
	if got := strings.Count(log.String(), "wake-ups lost"); got != 1 || !strings.Contains(log.String(), "3D000") {
		t.Errorf("got %d lines for three attempts, want one that says why:\n%s", got, log.String())
	}
}
