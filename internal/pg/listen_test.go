package pg_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/lab/proxy"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
	"hosho/internal/wait"
)

// hearing is a listener at work, what it hears, and what it logs.
type hearing struct {
	*pg.Listener

	heard chan struct{}
	log   *logged
}

// hear has a listener hear what is sent over the pool of one URL, by another.
func hear(t *testing.T, senders, listens string) *hearing {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: senders, Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	h := &hearing{heard: make(chan struct{}, 1000), log: &logged{}}
	h.Listener = pg.NewListener(pool, channel, slog.New(slog.NewTextHandler(h.log, nil)))
	run(t, func(ctx context.Context) {
		h.Run(ctx, pg.Config{URL: listens, Application: "test"}, func(string) { h.heard <- struct{}{} })
	})
	receive(t, "the listener connects", (<-chan struct{})(h.heard))
	w := pg.NewWaker(pool, channel)
	run(t, w.Run)
	w.Wake()
	return h
}

// logged is a log that may be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// awaitPoll waits until the listener has whoever polls once an hour poll at an interval.
func (h *hearing) awaitPoll(t *testing.T, want time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*longWait)
	defer cancel()
	for h.Poll(time.Hour) != want {
		if !wait.For(ctx, 5*time.Millisecond) {
			t.Fatalf("got an interval of %v, want %v:\n%s", h.Poll(time.Hour), want, h.log)
		}
	}
}

// Wake-ups are sent through a pooler in transaction mode and heard past it: nothing is lost.
func TestAListenerHearsPastAPooler(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	h := hear(t, pgtest.Pooler(t, db.URL, nil), db.URL)
	receive(t, "a wake-up", (<-chan struct{})(h.heard))
	if got := h.Poll(time.Hour); got != time.Hour || h.log.String() != "" {
		t.Errorf("got an interval of %v, want that of who asks, and no word:\n%s", got, h.log)
	}
}

// A listener hears nothing, and cannot know it from silence: it goes through a pooler in transaction mode, or its URL
// names another database. It finds out, says why, and has everybody poll.
func TestAListenerThatCannotHearSaysWhy(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for what does not come")
	db, other := pgtest.Empty(t), pgtest.Empty(t)
	for reason, listens := range map[string]func(*testing.T) string{
		"through a pooler, which has to be in session mode": func(t *testing.T) string {
			return pgtest.Pooler(t, db.URL, nil)
		},
		"to another database": func(*testing.T) string { return other.URL },
	} {
		t.Run(strings.Fields(reason)[2], func(t *testing.T) {
			t.Parallel()
			h := hear(t, db.URL, listens(t))
			h.awaitPoll(t, 100*time.Millisecond)
			receive(t, "whoever waited is told", (<-chan struct{})(h.heard))
			if got := h.Poll(time.Millisecond); got != time.Millisecond {
				t.Errorf("got an interval of %v for who looks each millisecond, want that", got)
			}
			if got := h.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, reason) {
				t.Errorf("got the log\n%s\nwant one line with %q", got, reason)
			}
		})
	}
}

// What stands between forgets the connection that is idle, without a word to either end, and takes new ones.
func TestAListenerWhoseConnectionIsForgottenIsBack(t *testing.T) {
	t.Parallel()
	slow.Long(t, "waits for an answer that does not come")
	db := pgtest.Empty(t)
	address, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	link, err := proxy.Listen(address.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	address.Host = link.Address()
	h := hear(t, db.URL, address.String())
	receive(t, "a wake-up", (<-chan struct{})(h.heard))
	link.Set(proxy.Link{StallUp: true, StallDown: true})
	h.awaitPoll(t, 100*time.Millisecond)
	link.Set(proxy.Link{})
	h.awaitPoll(t, time.Hour)
	if got := h.log.String(); !strings.Contains(got, "wake-ups lost") || !strings.Contains(got, "wake-ups are back") {
		t.Errorf("got the log\n%s\nwant that wake-ups were lost, and are back", got)
	}
}

// The pooler is told to keep sessions for their clients. The listener finds out by itself.
func TestAListenerHearsAgain(t *testing.T) {
	t.Parallel()
	slow.Long(t, "waits a minute for the listener to try again")
	db := pgtest.Empty(t)
	pooled := pgtest.Pooler(t, db.URL, map[string]string{"admin_users": "postgres"})
	h := hear(t, db.URL, pooled)
	h.awaitPoll(t, 100*time.Millisecond)

	config, err := pgx.ParseConfig(pooled + "&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	config.Database = "pgbouncer"
	console, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close(t.Context())
	if _, err := console.Exec(t.Context(), `SET pool_mode = 'session'`); err != nil {
		t.Fatal(err)
	}
	h.awaitPoll(t, time.Hour)
	if got := h.log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "wake-ups are back") {
		t.Errorf("got the log\n%s\nwant that wake-ups were lost, and are back", got)
	}
}

// What a listener asks while nothing happens is its own wake-up, once when it has connected. It sends another at once
// when its process's pools leave their server, which may then be elsewhere.
func TestAListenerAsksWhenThePoolsHaveLeft(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	guard := pg.NewGuard(discard, true)
	sent := queries{make(chan string, 100), make(chan string, 100)}
	pool, err := pg.Open(t.Context(), pg.Config{URL: db.URL, Application: "test", Guard: guard, Tracer: sent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	asked := queries{make(chan string, 100), make(chan string, 100)}
	l := pg.NewListener(pool, channel, discard)
	run(t, func(ctx context.Context) {
		l.Run(ctx, pg.Config{URL: db.URL, Application: "test", Guard: guard, Tracer: asked}, func(string) {})
	})
	first := receive(t, "its own wake-up", sent.begun)
	if !strings.Contains(first, "pg_notify") {
		t.Errorf("got %q, want a NOTIFY", first)
	}

	changed := openAt(t, db.URL+"&pool_max_conns=1")
	execute(t, changed, `SET default_transaction_read_only = on`)
	ready := guard.Ready(changed, func(context.Context) error { return nil })
	if err := ready(t.Context()); !errors.Is(err, pg.ErrReadOnly) {
		t.Errorf("got %v, want %v", err, pg.ErrReadOnly)
	}
	if again := receive(t, "another", sent.begun); again != first {
		t.Errorf("got %q, want %q", again, first)
	}
	if listen := receive(t, "LISTEN", asked.begun); len(asked.begun) > 0 || len(sent.begun) > 0 {
		t.Errorf("got %d statements after %q, and %d more wake-ups; want none",
			len(asked.begun), listen, len(sent.begun))
	}
}
