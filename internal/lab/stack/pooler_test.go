package stack_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hosho/internal/lab/invariant"
	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/pgembed"
	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// Every daemon works through a pooler in transaction mode, which has fewer sessions than the daemons have connections,
// and was migrated through it. Customers order and cancel, and servers crash where there is time. All is settled, both
// databases agree, wake-ups are heard, and nothing is left behind in a session.
func TestTheSystemWorksThroughPoolers(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system; each package tests its own statements through a pooler")
	pgtest.PoolerOrLeaveOut(t)
	const sessions = 12
	s := start(t, bin, 2, func(c *stack.Config) {
		c.Poolers = map[string]string{"default_pool_size": "12", "server_login_retry": "1"}
		c.Env = append(slices.Clone(pace), "RELAY_POLL_INTERVAL=1m")
	})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	clients := load.New(load.Config{Orders: s.client, Clients: 16, Seed: seed, CancelWithin: 300 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var working sync.WaitGroup
	defer working.Wait()
	defer stop()
	working.Go(func() { clients.Run(ctx, t.Context()) })
	crashes := []*pgembed.Server{s.Orders, s.Payments}
	for _, server := range crashes[:slow.Times(0, len(crashes))] {
		if err := clients.AwaitAccepted(t.Context(), clients.Accepted()+150); err != nil {
			t.Fatal(err)
		}
		if err := server.Crash(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := clients.AwaitAccepted(t.Context(), clients.Accepted()+150); err != nil {
		t.Fatal(err)
	}
	stop()
	working.Wait()
	s.await(t, "every order is settled", allSettled)

	report := s.agree(t, true)
	wrong, err := clients.Check(t.Context(), s.orders)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	s.noAlarms(t)
	s.noneLogs(t, "LISTEN goes through a pooler", "prepared statement", `"level":"ERROR","msg":"rpc"`)
	for _, settings := range [][]string{s.Orderd.Settings, s.Paymentd.Settings} {
		cleanSessions(t, pooledURL(t, settings), sessions)
	}
	t.Logf("%d orders acknowledged; orders: %s; payments: %s", clients.Accepted(), invariant.Line(report.Orders),
		invariant.Line(report.Payments))
}

// noneLogs checks that no daemon has logged certain words.
func (s *system) noneLogs(t *testing.T, words ...string) {
	t.Helper()
	for _, daemon := range s.Daemons() {
		log, err := os.ReadFile(daemon.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if i := bytes.Index(log, []byte(word)); i >= 0 {
				from := bytes.LastIndexByte(log[:i], '\n') + 1
				t.Errorf("%s: %s", daemon.Name, log[from:min(from+2000, len(log))])
			}
		}
	}
}

// pooledURL is the URL of the database with which a daemon was started.
func pooledURL(t *testing.T, settings []string) string {
	t.Helper()
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		if strings.HasSuffix(name, "_DATABASE_URL") && !strings.HasSuffix(name, "_LISTEN_DATABASE_URL") {
			return value
		}
	}
	t.Fatalf("no URL of a database among %q", settings)
	return ""
}

// cleanSessions looks at each of a pooler's sessions, all of which it has at once. The settings that PgBouncer carries
// along from one session to the next are its client's own.
func cleanSessions(t *testing.T, url string, sessions int) {
	t.Helper()
	pool := open(t, url)
	for range sessions {
		tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		var left []string
		err = tx.QueryRow(t.Context(), `
			SELECT ARRAY(
				SELECT name || ' = ' || setting
				FROM pg_settings
				WHERE source = 'session' AND name NOT IN (
					'application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings',
					'transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
				UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements WHERE name <> ''
				UNION ALL SELECT 'LISTEN ' || channel FROM pg_listening_channels() AS channel
				UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
			)`).Scan(&left)
		if err != nil || len(left) > 0 {
			t.Errorf("a session was left with %q, %v; want nothing", left, err)
		}
	}
}
