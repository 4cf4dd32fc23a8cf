package pgembed_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"hosho/internal/pgembed"
	"hosho/internal/proc"
	"hosho/internal/slow"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentOf); dir != "" {
		beParent(dir)
	}
	proc.Isolate()
	goleak.VerifyTestMain(m)
}

func TestStartAnswersAndStopLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, pgembed.Config{Settings: map[string]string{"max_connections": "17"}})
	for range 2 { // one that exists is left alone
		if err := s.CreateDatabase(t.Context(), `odd "name"`); err != nil {
			t.Fatal(err)
		}
	}
	got := query[string](t, s, `odd "name"`, `
		SELECT concat_ws(' ', current_database(), current_setting('max_connections'), current_setting('shared_buffers'),
			current_setting('server_encoding'), current_setting('lc_collate'), current_setting('fsync'))`)
	if want := `odd "name" 17 128MB UTF8 C off`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	sockets := strings.Trim(query[string](t, s, "postgres", `SHOW unix_socket_directories`), `"`)
	pid := postmaster(t, s)

	for range 2 { // a second Stop does nothing
		if err := s.Stop(); err != nil {
			t.Fatalf("stop: %v", err)
		}
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d survived Stop: %v", pid, err)
	}
	if err := s.Restart(t.Context()); !errors.Is(err, pgembed.ErrNotRunning) {
		t.Errorf("restart after Stop: got %v, want %v", err, pgembed.ErrNotRunning)
	}
	for _, dir := range []string{s.Dir(), sockets} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s survived Stop: %v", dir, err)
		}
	}
}

// A durable server acknowledges a commit and ends in one of the ways that no session is asked about. It comes back at
// the same address with the commit, and without what was not committed.
func TestRestartKeepsAcknowledgedCommits(t *testing.T) {
	slow.Test(t, "kills real servers")
	t.Parallel()
	s := start(t, pgembed.Config{Durable: true})
	if got, want := query[string](t, s, "postgres", `SHOW fsync`), "on"; got != want {
		t.Fatalf("fsync of a durable server: got %s, want %s", got, want)
	}
	exec(t, connect(t, s, "postgres"), `CREATE TABLE promise (number int)`)
	crash := func() {
		if err := s.Crash(); err != nil {
			t.Fatalf("crash: %v", err)
		}
		if err := s.Crash(); !errors.Is(err, pgembed.ErrNotRunning) {
			t.Fatalf("second crash: got %v, want %v", err, pgembed.ErrNotRunning)
		}
	}
	for i, end := range []func(){crash, s.Kill, func() {}} {
		url, pid := s.URL("postgres"), postmaster(t, s)
		session := connect(t, s, "postgres")
		exec(t, session, `INSERT INTO promise VALUES ($1)`, i)
		exec(t, session, `BEGIN`)
		exec(t, session, `INSERT INTO promise VALUES (1000)`)
		end()
		if err := s.Restart(t.Context()); err != nil {
			t.Fatalf("restart %d: %v", i, err)
		}
		if postmaster(t, s) == pid {
			t.Errorf("restart %d: process %d still runs", i, pid)
		}
		if got := s.URL("postgres"); got != url {
			t.Errorf("restart %d: got URL %s, want %s", i, got, url)
		}
		kept := query[int](t, s, "postgres", `SELECT count(*)::int FROM promise WHERE number < 1000`)
		if want := i + 1; kept != want {
			t.Errorf("restart %d: got %d commits, want %d", i, kept, want)
		}
		if got := query[int](t, s, "postgres", `SELECT count(*)::int FROM promise WHERE number = 1000`); got != 0 {
			t.Errorf("restart %d: got %d rows that nobody committed", i, got)
		}
	}
}

// The children of a killed postmaster end on their own time. Stop waits for them before it removes what they write to.
func TestStopAfterKill(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts servers again and again")
	s := start(t, pgembed.Config{})
	connect(t, s, "postgres")
	s.Kill()
	s.Kill() // nothing to do
	if err := s.Stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if _, err := os.Stat(s.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s survived Stop: %v", s.Dir(), err)
	}
}

func TestGivenDirectoryIsUsedAgain(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts servers again and again")
	// Too long a name for a socket, and a directory that does not exist yet.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 20), "dir")
	s := start(t, pgembed.Config{Dir: dir})
	if err := s.CreateDatabase(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	got, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "data"), s.LogFile()}, got); diff != "" {
		t.Errorf("files after Stop (-want +got):\n%s", diff)
	}
	again := start(t, pgembed.Config{Dir: dir})
	if got, want := query[string](t, again, "kept", `SELECT current_database()`), "kept"; got != want {
		t.Errorf("got database %s, want %s", got, want)
	}
}

// Whatever the name of the folder for temporary files: with what globs, shells, URLs and lists take for theirs, from
// here, and with a slash at its end.
func TestAServerRunsWhereverTemporaryFilesAre(t *testing.T) {
	slow.Test(t, "starts servers again and again")
	t.Chdir(setTempDir(t))
	const name = "o[d* n,a'm\"e é/"
	if err := os.Mkdir(name, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", name)
	s := start(t, pgembed.Config{})
	if got := query[int](t, s, "postgres", `SELECT 1`); got != 1 || !strings.Contains(s.Dir(), "/"+name) {
		t.Errorf("got %d from a server in %s, want 1 from one below %s", got, s.Dir(), name)
	}
}

// Somebody takes the port between the choice and the start; the start waits for it, and gets it when it is let go.
func TestStartWaitsForItsPort(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts servers again and again")
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	config := pgembed.Config{Dir: t.TempDir(), Port: other.Addr().(*net.TCPAddr).Port}
	type result struct {
		server *pgembed.Server
		err    error
	}
	results := make(chan result, 1)
	go func() {
		s, err := pgembed.Start(t.Context(), config)
		results <- result{s, err}
	}()
	until(t, "the log says that the port is taken", func() bool {
		log, err := os.ReadFile(filepath.Join(config.Dir, "postgres.log"))
		return err == nil && strings.Contains(string(log), "could not bind")
	})
	other.Close()
	r := <-results
	if r.err != nil {
		t.Fatal(r.err)
	}
	stopAfter(t, r.server)
	want := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/orders?sslmode=disable", config.Port)
	if got := r.server.URL("orders"); got != want {
		t.Errorf("got URL %s, want %s", got, want)
	}
}

func TestFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	slow.Test(t, "starts servers again and again")
	temporary := setTempDir(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		want string
	}{
		{"unknown setting", t.Context(), `unrecognized configuration parameter "no_such_setting"`},
		{"cancelled", cancelled, context.Canceled.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := pgembed.Start(tt.ctx, pgembed.Config{Settings: map[string]string{"no_such_setting": "1"}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
			left, err := os.ReadDir(temporary)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
