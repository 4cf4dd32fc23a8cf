package pg_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/lab/proxy"
	"hosho/internal/pg"
	"hosho/internal/pgembed"
)

// primary is a server of this test's own whose commits wait for a standby that is not there, while it is away.
type primary struct {
	server *pgembed.Server
	admin  *pgxpool.Pool // whose commits wait for nobody
}

func newPrimary(t *testing.T) *primary {
	t.Helper()
	server, err := pgembed.Start(t.Context(), pgembed.Config{
		Settings: map[string]string{"synchronous_commit": "on"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin, err := pg.Open(t.Context(), pg.Config{
		URL: server.URL("postgres") + "&synchronous_commit=local", Application: "admin",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	execute(t, admin, `CREATE TABLE notes (n integer PRIMARY KEY)`)
	execute(t, admin, `CREATE TABLE probes ()`)
	return &primary{server, admin}
}

// open makes a pool of two connections.
func (p *primary) open(t *testing.T, application string) *pgxpool.Pool {
	t.Helper()
	return p.openAt(t, p.server.URL("postgres"), application)
}

func (p *primary) openAt(t *testing.T, url, application string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: url + "&pool_max_conns=2", Application: application})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// standbyLeaves returns when commits wait. The process that has them do so reads the configuration some time.
func (p *primary) standbyLeaves(t *testing.T) {
	t.Helper()
	p.waitFor(t, "nobody")
	eventually(t, "commits wait for the standby", func() bool {
		probed := make(chan error, 1)
		go func() {
			conn, err := pgx.Connect(t.Context(), p.server.URL("postgres")+"&application_name=probe")
			if err == nil {
				_, err = conn.Exec(t.Context(), `INSERT INTO probes DEFAULT VALUES`)
				conn.Close(t.Context())
			}
			probed <- err
		}()
		for {
			select {
			case err := <-probed:
				if err != nil {
					t.Error(err)
				}
				return false
			default:
			}
			if p.waiting(t, "probe") == 1 {
				p.cancel(t, "probe")
				return receive(t, "the probe ends", probed) == nil
			}
		}
	})
}

func (p *primary) standbyIsBack(t *testing.T) { t.Helper(); p.waitFor(t, "") }

func (p *primary) waitFor(t *testing.T, standby string) {
	t.Helper()
	execute(t, p.admin, fmt.Sprintf(`ALTER SYSTEM SET synchronous_standby_names = '%s'`, standby))
	execute(t, p.admin, `SELECT pg_reload_conf()`)
}

// waiting counts an application's connections whose COMMIT waits for the standby.
func (p *primary) waiting(t *testing.T, application string) int {
	t.Helper()
	return count(t, p.admin, `
		SELECT count(*)
		FROM pg_stat_activity
		WHERE application_name = $1 AND wait_event = 'SyncRep'`, application)
}

func (p *primary) connections(t *testing.T, application string) int {
	t.Helper()
	return count(t, p.admin, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1`, application)
}

func (p *primary) cancel(t *testing.T, application string) {
	t.Helper()
	execute(t, p.admin, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, application)
}

func (p *primary) visible(t *testing.T) int {
	t.Helper()
	return count(t, p.admin, `SELECT count(*) FROM notes`)
}

// eventually waits for something that nothing tells of. It gives up after longWait.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(longWait); !so(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", longWait, what)
		}
	}
}

// writes are the ways to write a note.
var writes = map[string]func(ctx context.Context, pool *pgxpool.Pool, n int) error{
	"a transaction": func(ctx context.Context, pool *pgxpool.Pool, n int) error {
		return pg.InTx(ctx, pool, func(tx pgx.Tx) error { return insert(ctx, tx, n) })
	},
	"a statement that commits by itself": func(ctx context.Context, pool *pgxpool.Pool, n int) error {
		return pg.Exec(ctx, pool, `INSERT INTO notes VALUES ($1)`, n)
	},
	"a pipeline": func(ctx context.Context, pool *pgxpool.Pool, n int) error {
		return pg.Pipeline(ctx, pool, func(b *pgx.Batch) {
			b.Queue(`INSERT INTO notes VALUES ($1)`, n)
			b.Queue(`SELECT count(*) FROM notes`)
		})
	},
}

// abandon writes a note, and gives up when its COMMIT waits for the standby.
func (p *primary) abandon(
	t *testing.T, pool *pgxpool.Pool, n int, write func(context.Context, *pgxpool.Pool, int) error,
) error {
	t.Helper()
	application := pool.Config().ConnConfig.RuntimeParams["application_name"]
	before := p.waiting(t, application)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	result := make(chan error, 1)
	go func() { result <- write(ctx, pool, n) }()
	eventually(t, "the COMMIT waits for the standby", func() bool { return p.waiting(t, application) > before })
	giveUp()
	return receive(t, "the caller is told", result)
}

// The stories share a server, which takes longer to start than all of them.
func TestWhileTheStandbyIsAway(t *testing.T) {
	t.Parallel()
	p := newPrimary(t)
	for _, story := range []struct {
		name string
		of   func(p *primary, t *testing.T)
	}{
		{"a COMMIT waits for it though its caller has given up", (*primary).givenUp},
		{"a pool is closed while a COMMIT waits", (*primary).closed},
		{"a COMMIT that was told not to wait is unknown", (*primary).told},
		{"a broken connection does not end the wait", (*primary).broken},
		{"the log says so when COMMITs get no answer", (*primary).logged},
	} {
		t.Run(story.name, func(t *testing.T) {
			defer p.standbyIsBack(t)
			execute(t, p.admin, `TRUNCATE notes`)
			story.of(p, t)
		})
	}
}

// With synchronous replication a COMMIT that is cancelled is answered OK, and is on one server only. So the caller who
// gives up is told that nothing is known, the COMMIT goes on waiting, and nobody sees its row until the standby is
// back. As many as the pool is large are left to themselves; then nothing more is written, what is read is read, and
// the server has no more connections than twice the pool.
func (p *primary) givenUp(t *testing.T) {
	for name, write := range writes {
		execute(t, p.admin, `TRUNCATE notes`)
		pool := p.open(t, name)
		p.standbyLeaves(t)
		for n := range 2 {
			if err := p.abandon(t, pool, n, write); pg.Classify(err) != pg.CommitUnknown {
				t.Errorf("%s: got %v, want ErrCommitUnknown", name, err)
			}
		}
		for other, write := range writes {
			err := write(t.Context(), pool, 3)
			if !errors.Is(err, pg.ErrUnanswered) || pg.Classify(err) != pg.Unreachable {
				t.Errorf("%s, then %s: got %v, want ErrUnanswered", name, other, err)
			}
		}
		if got := count(t, pool, `SELECT count(*) FROM notes`); got != 0 {
			t.Errorf("%s: got %d rows that others see, want none", name, got)
		}
		if waiting, all := p.waiting(t, name), p.connections(t, name); waiting != 2 || all > 4 {
			t.Errorf("%s: got %d of %d connections waiting, want 2 of 4 at most", name, waiting, all)
		}
		p.standbyIsBack(t)
		eventually(t, "the COMMITs end, and their connections", func() bool {
			return p.visible(t) == 2 && p.connections(t, name) <= 2
		})
		eventually(t, "it is written again", func() bool { return write(t.Context(), pool, 4) == nil })
		pool.Close()
	}
}

// A pool that is closed does not wait for what nobody waits for, and does not end it either.
func (p *primary) closed(t *testing.T) {
	p.standbyLeaves(t)
	pool := p.open(t, "closed")
	if err := p.abandon(t, pool, 1, writes["a transaction"]); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got %v, want ErrCommitUnknown", err)
	}
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	receive(t, "the pool is closed", closed)
	if waiting, visible := p.waiting(t, "closed"), p.visible(t); waiting != 1 || visible != 0 {
		t.Errorf("got %d waiting and %d visible, want it to wait as before", waiting, visible)
	}
	p.standbyIsBack(t)
	eventually(t, "the COMMIT ends", func() bool { return p.visible(t) == 1 && p.connections(t, "closed") == 0 })
}

// Whoever ends the wait by hand has the COMMIT answered OK, with a warning: that is no OK. It is told by the name of
// the routine that warns, in whatever language, and also where a database is set to keep warnings to itself.
func (p *primary) told(t *testing.T) {
	execute(t, p.admin, `ALTER DATABASE postgres SET client_min_messages = 'error'`)
	defer execute(t, p.admin, `ALTER DATABASE postgres RESET client_min_messages`)
	p.standbyLeaves(t)
	pool := p.open(t, "told")
	for name, write := range writes {
		execute(t, p.admin, `DELETE FROM notes`)
		result := make(chan error, 1)
		go func() { result <- write(t.Context(), pool, 1) }()
		eventually(t, "the COMMIT waits", func() bool { return p.waiting(t, "told") == 1 })
		p.cancel(t, "told")
		if err := receive(t, "the answer", result); !errors.Is(err, pg.ErrCommitUnknown) {
			t.Errorf("%s: got %v, want ErrCommitUnknown", name, err)
		}
	}
	p.standbyIsBack(t)
	if err := writes["a transaction"](t.Context(), pool, 2); err != nil {
		t.Errorf("got %v, want the connection to be as good as before", err)
	}
}

// The connection breaks while the COMMIT waits, and pgx would send a cancel request along with its farewell. The server
// is alive and at it: it must go on waiting.
func (p *primary) broken(t *testing.T) {
	address, err := url.Parse(p.server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	link, err := proxy.ListenPostgres(address.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	address.Host = link.Address()
	pool := p.openAt(t, address.String(), "broken")
	p.standbyLeaves(t)
	n := 0
	for name, write := range writes {
		n++
		var results sync.WaitGroup
		results.Go(func() {
			if err := write(t.Context(), pool, n); !errors.Is(err, pg.ErrCommitUnknown) {
				t.Errorf("%s: got %v, want ErrCommitUnknown", name, err)
			}
		})
		eventually(t, "the COMMIT waits", func() bool { return p.waiting(t, "broken") == n })
		link.Reset()
		results.Wait()
		if got := count(t, pool, `SELECT count(*) FROM notes`); got != 0 { // and a cancel request had its time
			t.Errorf("%s: got %d rows that others see, want none", name, got)
		}
	}
	if got := p.waiting(t, "broken"); got != n {
		t.Errorf("got %d waiting, want all %d", got, n)
	}
	p.standbyIsBack(t)
	eventually(t, "the COMMITs end", func() bool { return p.visible(t) == n })
}

// lines are what is logged, in order.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// aboutCommits returns the next line that speaks of commits and their answers.
func (l lines) aboutCommits(t *testing.T) string {
	t.Helper()
	for {
		if line := receive(t, "a line of the log", l); strings.Contains(line, `msg="commits are `) {
			return line
		}
	}
}

// Callers are told COMMIT_UNKNOWN, which is in their logs at best. A daemon's own says it, whichever way was written,
// and also that the standby is back.
func (p *primary) logged(t *testing.T) {
	log := make(lines, 64)
	pool, err := pg.Open(t.Context(), pg.Config{
		URL: p.server.URL("postgres") + "&pool_max_conns=3", Application: "logged",
		Guard: pg.NewGuard(slog.New(slog.NewTextHandler(log, nil)), true),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	p.standbyLeaves(t)
	for name, write := range writes {
		if err := p.abandon(t, pool, p.waiting(t, "logged"), write); !errors.Is(err, pg.ErrCommitUnknown) {
			t.Errorf("%s: got %v, want ErrCommitUnknown", name, err)
		}
	}
	for _, n := range []int{1, 2} { // each time that there are twice as many
		got := log.aboutCommits(t)
		want := fmt.Sprintf(`level=WARN msg="commits are without an answer" commits=%d look_at=`, n)
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	p.standbyIsBack(t)
	if got, want := log.aboutCommits(t), `level=INFO msg="commits are answered again"`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}
