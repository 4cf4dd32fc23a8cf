package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/proc"
)

// programs is the folder with sagactl and, after a call of daemons, what it runs.
var programs string

// daemons builds orderd, paymentd and relay, once for all tests that run a system themselves.
var daemons = sync.OnceValue(func() error { return stack.Build(context.Background(), programs) })

// An account's name that an audit does not take as it is stands there all the same.
func TestAnAccountsNameFitsAnAudit(t *testing.T) {
	t.Parallel()
	for account, want := range map[string]string{
		"ada": "ada", "ada@example.com": "ada@example.com", `SHOP\ada`: "SHOP_ada", "josé m": "jos__m", "": "",
		strings.Repeat("a", 65): strings.Repeat("a", 64),
	} {
		if got := audited(account); got != want {
			t.Errorf("%q: got %q, want %q", account, got, want)
		}
	}
}

func TestMain(m *testing.M) {
	proc.Isolate()
	if signal.Ignored(syscall.SIGHUP) {
		// Under nohup a command goes on when its terminal is closed, as it should. The tests would wait for its end.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	time.Local = time.UTC // what is printed is the same everywhere
	dir, err := os.MkdirTemp("", "hosho-sagactl-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	if err := stack.BuildCommand(context.Background(), programs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// sagactl returns a command whose temporary files are the test's own, so that what it leaves behind is seen.
func sagactl(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "hosho-t-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tmp, 0o1777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	cmd := exec.Command(filepath.Join(programs, "sagactl"), args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	return cmd, tmp
}

// leavesNothing checks that no file and no process is left that knows the directory.
func leavesNothing(t *testing.T, tmp string) {
	t.Helper()
	left, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("left behind: %s", entry.Name())
	}
	if processes := processesOf(tmp); len(processes) > 0 {
		t.Errorf("still running:\n%s", processes)
	}
}

func processesOf(tmp string) []byte {
	processes, _ := exec.Command("pgrep", "-af", regexp.QuoteMeta(tmp)).Output() // exits 1 when it finds none
	return processes
}

// codeOf is the exit code of a command that has ended.
func codeOf(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}

// awaitTimeout is for builds on a slow machine.
const awaitTimeout = 2 * time.Minute

// watcher keeps what is written and says when a text has come.
type watcher struct {
	want  string
	found chan struct{}

	mu   sync.Mutex
	seen strings.Builder
	done bool
}

func newWatcher(want string) *watcher { return &watcher{want: want, found: make(chan struct{})} }

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Write(p)
	if !w.done && strings.Contains(w.seen.String(), w.want) {
		w.done = true
		close(w.found)
	}
	return len(p), nil
}

// await waits until the text has come. It fails when the command ends before.
func (w *watcher) await(t *testing.T, exited <-chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), awaitTimeout)
	defer cancel()
	select {
	case <-w.found:
	case err := <-exited:
		t.Fatalf("it ended (%v) before it said %q:\n%s", err, w.want, w.text())
	case <-ctx.Done():
		t.Fatalf("%q has not come:\n%s", w.want, w.text())
	}
}

func (w *watcher) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String()
}
