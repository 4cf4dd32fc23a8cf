package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// A program that is called go, and that dies of SIGTERM without passing it on, as `go run` does, takes along what it
// started.
func TestWhatGoRunStartedEndsWithIt(t *testing.T) {
	t.Parallel()
	cmd, tmp := sagactl(t, "status", "--watch", "--orderd=127.0.0.1:1", "--paymentd=127.0.0.1:1", "--relay=127.0.0.1:1")
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = filepath.Join(t.TempDir(), "go")
	if err := os.Symlink(shell, cmd.Path); err != nil {
		t.Fatal(err)
	}
	cmd.Args = append([]string{"go", "-c", `"$@"; exit`, "go"}, cmd.Args...)
	looked, said := newWatcher("NOT READY"), newWatcher("interrupted")
	cmd.Stdout, cmd.Stderr = looked, said
	exited := begin(t, cmd, looked)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-said.found
	t.Logf("nobody has its output any more: %v", <-exited)
	leavesNothing(t, tmp)
}

// However the end comes, no process is left, and no folder. What SIGKILL keeps sagactl from doing, the next one does.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system again and again")
	root, err := stack.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	up := []string{"up", "--free-ports"}
	ready := "\nready\n"
	for _, tt := range []struct {
		name  string
		args  []string
		goRun bool
		seen  string // on standard output, before the end
		end   syscall.Signal
		next  bool // the next one removes the folder
	}{
		{"up, by go run", up, true, ready, syscall.SIGTERM, false},
		{"up, by go run that is killed", up, true, ready, syscall.SIGKILL, false},
		{"up, in a terminal that is closed", up, false, ready, syscall.SIGHUP, false},
		{"up, killed", up, false, ready, syscall.SIGKILL, true},
		{"up, by Ctrl-\\", up, false, ready, syscall.SIGQUIT, true},
		{"up, by Ctrl-C, twice", up, false, ready, syscall.SIGINT, true},
		{"demo", []string{"demo"}, false, "PENDING", syscall.SIGHUP, false},
		{"chaos", []string{"chaos", "--quick"}, false, "starting two", syscall.SIGHUP, false},
		{"mutants", []string{"mutants"}, false, "building", syscall.SIGHUP, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, tmp := sagactl(t, tt.args...)
			if tt.goRun {
				goRun := exec.Command("go", append([]string{"run", "-buildvcs=false", "./sagactl"}, tt.args...)...)
				goRun.Dir, goRun.Env = root, cmd.Env
				cmd = goRun
			}
			seen := newWatcher(tt.seen)
			cmd.Stdout = seen
			exited := begin(t, cmd, seen)
			if err := cmd.Process.Signal(tt.end); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Process.Signal(tt.end) // as shells do, and somebody who will not wait; it may have ended
			t.Logf("it has ended: %v", <-exited)
			if tt.goRun {
				removeAll(t, filepath.Join(tmp, "go-build*")) // its own, when it is killed
			}
			if tt.next {
				endsByItself(t, tmp)
				next, _ := sagactl(t, "up")
				next.Env = cmd.Env
				next.Dir = tmp // where there is nothing to build
				_ = next.Run()
			}
			leavesNothing(t, tmp)
		})
	}
}

// Somebody reads all that up has to say, and goes, as ssh does when the connection breaks.
func TestUpEndsWhenItsReaderLeaves(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system once more")
	cmd, tmp := sagactl(t, "up", "--free-ports")
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(output); lines.Scan() && lines.Text() != "ready"; {
	}
	output.Close()
	_ = cmd.Wait() // what it exits with tells nobody anything
	leavesNothing(t, tmp)
}

// endsByItself waits until no process knows the folder.
func endsByItself(t *testing.T, tmp string) {
	t.Helper()
	for deadline := time.Now().Add(awaitTimeout); len(processesOf(tmp)) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("still running:\n%s", processesOf(tmp))
		}
	}
}

func removeAll(t *testing.T, pattern string) {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}
