package hostile_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/hostile"
	"hosho/internal/lab/stack"
	"hosho/internal/wait"
)

// What a daemon may come to under attack.
const (
	mostMemory = 200 << 20
	mostP99    = 500 * time.Millisecond
	mostStop   = 12 * time.Second
	recovery   = 30 * time.Second
)

// result is what an attack on a daemon came to.
type result struct {
	attack, daemon string
	calls, refused int
	errs           []error
	peak           int64 // resident bytes
	p99            time.Duration
	before, after  figures
	back           time.Duration // until the figures were as before
	stop           time.Duration // with the attack still on
}

func heading() string {
	return fmt.Sprintf("%-18s %-9s %6s %7s %8s %7s %6s %12s %12s %10s %6s", "attack", "daemon", "MB", "p99", "errors",
		"refused", "back", "goroutines", "files", "heap MB", "stop")
}

func (r result) String() string {
	return fmt.Sprintf("%-18s %-9s %6d %7v %4d/%-3d %7d %6v %5d ->%4d %5d ->%4d %4d ->%3d %6v", r.attack, r.daemon,
		r.peak>>20, r.p99.Round(time.Millisecond), len(r.errs), r.calls, r.refused,
		r.back.Round(100*time.Millisecond),
		r.before.goroutines, r.after.goroutines, r.before.files, r.after.files, r.before.heap>>20, r.after.heap>>20,
		r.stop.Round(100*time.Millisecond))
}

// figures are what a daemon holds.
type figures struct{ goroutines, files, heap int64 }

// within reports whether it is about as much as before.
func (f figures) within(before figures) bool {
	return f.goroutines <= before.goroutines+20 && f.files <= before.files+20 && f.heap <= before.heap+20<<20
}

// measure attacks a daemon for a while with a customer beside, then lets it recover, then attacks it again and stops
// it meanwhile. The daemon is started again afterwards.
func measure(t *testing.T, daemon *stack.Process, attack hostile.Attack, lasts time.Duration) result {
	t.Helper()
	address := daemon.Address
	if attack.Admin {
		address = daemon.AdminAddress
	}
	c := newCustomer(t, daemon)
	r := result{attack: attack.Name, daemon: daemon.Name, before: look(t, daemon)}

	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	end := begin(t, attack, address)
	c.run(ctx)
	end()
	r.calls, r.refused, r.errs, r.p99 = len(c.took), c.refused, c.errs, c.p99()
	r.peak = peak(t, daemon)
	r.back, r.after = r.recover(t, daemon)
	r.stop = stopUnderAttack(t, daemon, attack, address)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	if err := daemon.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// recover waits until the daemon holds about as much as before.
func (r result) recover(t *testing.T, daemon *stack.Process) (time.Duration, figures) {
	t.Helper()
	began := time.Now()
	for {
		now := look(t, daemon)
		if now.within(r.before) || time.Since(began) > recovery {
			return time.Since(began), now
		}
		wait.For(t.Context(), 100*time.Millisecond)
	}
}

// stopUnderAttack ends the daemon by SIGTERM while it is attacked, and tells how long that took.
func stopUnderAttack(t *testing.T, daemon *stack.Process, attack hostile.Attack, address string) time.Duration {
	t.Helper()
	defer begin(t, attack, address)()
	wait.For(t.Context(), time.Second) // for the attack to unfold
	began := time.Now()
	daemon.Signal(syscall.SIGTERM)
	select {
	case <-daemon.Exited():
	case <-time.After(2 * mostStop):
		daemon.Kill()
	}
	return time.Since(began)
}

// check holds a result against what may be.
func (r result) check(t *testing.T) {
	t.Helper()
	if r.peak > mostMemory {
		t.Errorf("%s, %s: got a peak of %d MB, want at most %d", r.attack, r.daemon, r.peak>>20, mostMemory>>20)
	}
	if r.p99 > mostP99 {
		t.Errorf("%s, %s: got a p99 of %v for others, want at most %v", r.attack, r.daemon, r.p99, mostP99)
	}
	if len(r.errs) > 0 {
		t.Errorf("%s, %s: got %d errors for others, want none: %v", r.attack, r.daemon, len(r.errs), r.errs[0])
	}
	if r.back > recovery {
		t.Errorf("%s, %s: got %+v after %v, want what there was before, %+v", r.attack, r.daemon, r.after, r.back,
			r.before)
	}
	if r.stop > mostStop {
		t.Errorf("%s, %s: got an end after %v, want within %v", r.attack, r.daemon, r.stop, mostStop)
	}
}

// peak is the most memory that a process has had, 0 where the system does not tell.
func peak(t *testing.T, daemon *stack.Process) int64 {
	t.Helper()
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", daemon.Pid()))
	if err != nil {
		t.Logf("the peak of %s is not known: %v", daemon.Name, err)
		return 0
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("/proc/%d/status has no VmHWM", daemon.Pid())
	return 0
}

// look asks a daemon what it holds, after a garbage collection.
func look(t *testing.T, daemon *stack.Process) figures {
	t.Helper()
	fetch(t, "http://"+daemon.AdminAddress+"/debug/pprof/heap?gc=1", func(string) {})
	values := map[string]int64{}
	fetch(t, "http://"+daemon.AdminAddress+"/metrics", func(line string) {
		name, value, _ := strings.Cut(line, " ")
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			values[name] = int64(f)
		}
	})
	return figures{values["go_goroutines"], values["process_open_fds"], values["go_memstats_heap_alloc_bytes"]}
}

var admin = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}

func fetch(t *testing.T, url string, line func(string)) {
	t.Helper()
	reply, err := admin.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line(lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
