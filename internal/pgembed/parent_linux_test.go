package pgembed_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hosho/internal/pgembed"
	"hosho/internal/slow"
)

// A parent is killed, and cannot stop its server. Linux tells the server, and all of its processes end; the next
// parent finds the data whole.
func TestKilledParentTakesItsServerAlong(t *testing.T) {
	slow.Test(t, "kills real servers")
	t.Parallel()
	dir := t.TempDir()
	p := parent(t, dir)
	if len(processes(t, dir)) < 2 {
		t.Fatalf("got processes %v in %s, want a postmaster and its children", processes(t, dir), dir)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "all processes of the server are gone", func() bool { return len(processes(t, dir)) == 0 })
	s := start(t, pgembed.Config{Dir: dir})
	if got, want := query[int](t, s, "postgres", `SELECT 1`), 1; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// A new parent need not wait until the server of the killed one is gone: Start does.
func TestStartAfterKilledParent(t *testing.T) {
	slow.Test(t, "kills real servers")
	t.Parallel()
	dir := t.TempDir()
	if err := parent(t, dir).Process.Kill(); err != nil {
		t.Fatal(err)
	}
	start(t, pgembed.Config{Dir: dir})
}

// A parent that was killed leaves its temporary directory behind. The next one removes it, but not before the last
// process has let go of it, and never that of a server in use.
func TestAbandonedDirectoryIsRemoved(t *testing.T) {
	slow.Long(t, "kills one server more than the others")
	dir := setTempDir(t)
	p := parent(t, temporary)
	abandoned := only(t, dir)
	inUse := start(t, pgembed.Config{}).Dir()
	if _, err := os.Stat(abandoned); err != nil {
		t.Fatalf("the directory of a server in use: %v", err)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "all processes of the server are gone", func() bool { return len(processes(t, abandoned)) == 0 })
	next := start(t, pgembed.Config{}).Dir()
	if _, err := os.Stat(abandoned); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the abandoned directory: %v", err)
	}
	for _, dir := range []string{inUse, next} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("the directory of a server in use: %v", err)
		}
	}
}

func only(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("got %v, %v in %s, want one entry", found, err, dir)
	}
	return found[0]
}

// Stop has waited for the children too, which a process id cannot tell, and has freed the memory that a killed
// postmaster could not.
func TestStopLeavesNoChildAndNoMemory(t *testing.T) {
	slow.Test(t, "kills real servers")
	t.Parallel()
	for name, before := range map[string]func(*pgembed.Server){
		"Stop":            func(*pgembed.Server) {},
		"Kill, then Stop": (*pgembed.Server).Kill,
	} {
		s := start(t, pgembed.Config{})
		connect(t, s, "postgres")
		segment := " " + lockFile(t, s)[6][1] + " " // the key and the id
		if !strings.Contains(segments(t), segment) {
			t.Fatalf("got shared memory\n%s\nwant one with segment%s", segments(t), segment)
		}
		before(s)
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if left := processes(t, s.Dir()); len(left) > 0 {
			t.Errorf("%s left processes %v", name, left)
		}
		if strings.Contains(segments(t), segment) {
			t.Errorf("%s left shared memory segment%s", name, segment)
		}
	}
}

// A backend does not notice that the postmaster was killed, here because it is stopped. Server.Stop waits for it.
func TestStopWaitsForTheLastChild(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts servers again and again")
	s := start(t, pgembed.Config{})
	var backend int
	if err := connect(t, s, "postgres").QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(backend, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	var err error
	stopped := make(chan struct{})
	go func() {
		err = s.Stop()
		close(stopped)
	}()
	select {
	case <-stopped:
		t.Errorf("Stop did not wait for processes %v", processes(t, s.Dir()))
	case <-time.After(200 * time.Millisecond): // it had the time to end, and did not
	}
	if err := syscall.Kill(backend, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	<-stopped
	if err != nil {
		t.Error(err)
	}
	if left := processes(t, s.Dir()); len(left) > 0 {
		t.Errorf("Stop left processes %v", left)
	}
}

// segments is the kernel's table of System V shared memory.
func segments(t *testing.T) string {
	t.Helper()
	table, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	return string(table)
}

// processes are those that work in the directory; a zombie works nowhere.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir+"/") {
			found = append(found, filepath.Base(filepath.Dir(link)))
		}
	}
	return found
}
