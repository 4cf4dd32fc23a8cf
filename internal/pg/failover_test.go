package pg_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgembed"
	"hosho/internal/slow"
	"hosho/internal/wait"
)

// pair starts a server and its synchronous standby, and returns the URL that names both, the standby first.
func pair(t *testing.T) (primary, standby *pgembed.Server, address string) {
	t.Helper()
	stop := func(s *pgembed.Server) {
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
	config := pgembed.Config{Settings: map[string]string{"synchronous_commit": "on"}}
	primary, err := pgembed.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	stop(primary)
	standby, err = pgembed.StartStandby(t.Context(), primary, config)
	if err != nil {
		t.Fatal(err)
	}
	stop(standby)
	if err := primary.Acknowledge(t.Context(), standby); err != nil {
		t.Fatal(err)
	}
	second, err := url.Parse(primary.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	first, err := url.Parse(standby.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	first.Host += "," + second.Host
	return primary, standby, first.String()
}

// The primary is killed and its standby promoted. Whoever writes, and whoever listens, is at the new primary without
// having been told, whether the URL asks for a server that is written to or not.
func TestAPoolAndAListenerFollowAPromotion(t *testing.T) {
	t.Parallel()
	slow.Test(t, "kills real servers")
	primary, standby, address := pair(t)
	var log bytes.Buffer
	guard := pg.NewGuard(slog.New(slog.NewTextHandler(&log, nil)), true)
	told := address + "&target_session_attrs=read-write"
	write := func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO notes VALUES ('tea')`)
		return err
	}
	plain, asked := guarded(t, address, guard), guarded(t, told, guard)
	execute(t, plain, `CREATE TABLE notes (text text)`)
	heard := make(chan struct{}, 1000)
	run(t, func(ctx context.Context) {
		c := pg.Config{URL: address, Application: "test", Guard: guard}
		pg.NewListener(plain, channel, discard).Run(ctx, c, func(string) { heard <- struct{}{} })
	})
	receive(t, "the listener connects", heard)
	if err := pg.InTx(t.Context(), asked, write); err != nil {
		t.Fatal(err)
	}
	if err := pg.InTx(t.Context(), guarded(t, address, nil), write); err != nil { // a command that is no daemon
		t.Fatal(err)
	}

	another := pg.NewGuard(discard, true)
	err := another.Ready(guarded(t, standby.URL("postgres"), another), ready)(t.Context())
	if !errors.Is(err, pg.ErrReadOnly) || !strings.Contains(err.Error(), "is a standby: promote it") {
		t.Errorf("with the standby alone: got %v, want %v, and what to do", err, pg.ErrReadOnly)
	}

	primary.Kill()
	if err := pg.InTx(t.Context(), plain, write); pg.Classify(err) != pg.Unreachable {
		t.Errorf("while nobody takes writes: got %v, want unreachable", err)
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	promoted := time.Now()
	receive(t, "the listener has lost the old primary", heard)
	receive(t, "the listener is at the new primary", heard)
	t.Logf("the listener is back %v after the promotion", time.Since(promoted))
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	for _, pool := range []*pgxpool.Pool{plain, asked} {
		for err := pg.InTx(ctx, pool, write); err != nil; err = pg.InTx(ctx, pool, write) {
			if !wait.For(ctx, 10*time.Millisecond) {
				t.Fatal(err)
			}
		}
	}
	execute(t, asked, `SELECT pg_notify($1, '')`, channel)
	receive(t, "a wake-up from the new primary", heard)
	if want := "no standby is synchronous"; strings.Count(log.String(), want) != 1 {
		t.Errorf("got the log\n%s\nwant %q once, of the new primary", &log, want)
	}
}
