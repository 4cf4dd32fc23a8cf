package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hosho/internal/rules"
)

var program string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hosho-sagactl-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "sagactl")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build sagactl: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// sagactl makes a command whose temporary files are the test's own, so that what it leaves behind is seen. The name is
// short: the databases' sockets are in there.
func sagactl(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	tmp, err := os.MkdirTemp("/tmp", "hosho-t-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tmp, 0o1777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	return cmd, tmp
}

// leavesNothing checks that no file and no process is left that knows the directory.
func leavesNothing(t *testing.T, tmp string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if !strings.Contains(path, "go-build") { // the go command's own, when it is interrupted
			t.Errorf("left behind: %s", path)
		}
	}
	processes, _ := exec.Command("pgrep", "-af", tmp).Output() // exits 1 when it finds none
	if len(processes) > 0 {
		t.Errorf("still running:\n%s", processes)
	}
}

func TestDemoEndsEveryOrderAsItMust(t *testing.T) {
	t.Parallel()
	cmd, tmp := sagactl(t, "demo")
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("sagactl demo: %v\n%s", err, output)
	}
	for _, s := range scenes {
		want := "ok: " + ending{s.status, s.reason, s.payment}.String()
		_, rest, found := strings.Cut(string(output), s.title)
		if part, _, _ := strings.Cut(rest, "\n\n"); !found || !strings.Contains(part, want) {
			t.Errorf("%s: got\n%s\nwant %q", s.title, part, want)
		}
	}
	if bytes.Contains(output, []byte("\x1b")) {
		t.Error("got escape sequences in a pipe")
	}
	leavesNothing(t, tmp)
}

func TestNaiveDemoShowsTheDamage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"demo", "--naive"}, []string{
			"WRONG: CANCELLED (PAYMENT_FAILED), payment CHARGED; it must end COMPLETED, payment CHARGED", // the lost reply
			"BROKEN " + string(rules.I3), "BROKEN " + string(rules.I7),
		}},
		{[]string{"demo", "--naive", "--no-compensation"}, []string{"WRONG: PENDING", "BROKEN " + string(rules.I14)}},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			cmd, tmp := sagactl(t, tt.args...)
			output, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("got %v, want exit code 1\n%s", err, output)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(output), want) {
					t.Errorf("got\n%s\nwant %q in it", output, want)
				}
			}
			leavesNothing(t, tmp)
		})
	}
}

func TestInterruptedDemoLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	cmd, tmp := sagactl(t, "demo")
	seen := &watcher{want: "PENDING", found: make(chan struct{})}
	cmd.Stdout = seen
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case <-seen.found:
	case err := <-exited:
		t.Fatalf("ended before its first order: %v", err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-exited; !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("got %v, want exit code 130", err)
	}
	leavesNothing(t, tmp)
}

// up prints where everything is, says ready last, and stops on SIGTERM.
func TestUpSaysWhereEverythingIs(t *testing.T) {
	t.Parallel()
	cmd, tmp := sagactl(t, "up", "--free-ports")
	ready := &watcher{want: "\nready\n", found: make(chan struct{})}
	cmd.Stdout = ready
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	select {
	case <-ready.found:
	case err := <-exited:
		t.Fatalf("ended before it was ready: %v\n%s", err, ready.text())
	case <-ctx.Done():
		t.Fatalf("not ready:\n%s", ready.text())
	}
	for _, name := range []string{"ORDERD", "PAYMENTD", "RELAY", "ORDERS_DATABASE_URL", "PAYMENTS_DATABASE_URL", "DATA"} {
		if !strings.Contains("\n"+ready.text(), "\n"+name+"=") {
			t.Errorf("got\n%s\nwant a line %s=", ready.text(), name)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Errorf("got %v after SIGTERM, want exit code 0", err)
	}
	leavesNothing(t, tmp)
}

// watcher keeps what is written and says when a text has come.
type watcher struct {
	want  string
	found chan struct{}

	mu   sync.Mutex
	seen strings.Builder
	done bool
}

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

func (w *watcher) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String()
}
