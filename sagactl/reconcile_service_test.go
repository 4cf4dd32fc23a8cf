package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hosho/internal/slow"
)

// The service that a pager rests on, beside a real system: it finds what is lost, says so once, lives on while a
// database is away, finds what was mended, and ends when it is told to.
func TestReconcileAsAService(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	s := startStack(t)
	cmd := reconcileCommand(t, s, "--every", "200ms", "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // when it has not ended
	service := &served{lines: bufio.NewScanner(stderr)}
	service.address = service.awaitAddress(t)
	service.await(t, "/metrics", `hosho_reconcile_findings{class="stranded"} 0`,
		`hosho_reconcile_seconds_count{pass="full"} 1`,
		`hosho_reconcile_compared_total{side="orders"} 0`, `hosho_reconcile_failures_total 0`, "go_goroutines",
		"process_open_fds")
	service.await(t, "/readyz", "ok")
	if output, err := healthy(t, service.address); err != nil {
		t.Errorf("healthcheck: got %v, %s", err, output)
	}

	s.Relays[0].Kill()
	create, _ := sagactl(t, "order", "create", "600", "--quiet", "--orderd", s.Orderd.Address)
	placed, err := create.Output()
	if err != nil {
		t.Fatal(err)
	}
	execute(t, s.OrdersURL(), `DELETE FROM outbox`)
	service.await(t, "/metrics", `hosho_reconcile_findings{class="stranded"} 1`)

	if err := s.Payments.Crash(); err != nil {
		t.Fatal(err)
	}
	service.await(t, "/readyz", "not ready")
	if output, err := healthy(t, service.address); codeOf(err) != 1 {
		t.Errorf("healthcheck without a database: got %v, %s; want exit 1", err, output)
	}
	if err := s.Payments.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	service.await(t, "/readyz", "ok")
	if _, err := reconcileOnce(t, s, "--repair"); codeOf(err) != 1 {
		t.Errorf("repair: got %v, want exit 1", err)
	}
	service.await(t, "/metrics", `hosho_reconcile_findings{class="stranded"} 0`)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	service.reading.Wait()
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: got %v, want exit 0", err)
	}
	id := strings.TrimSpace(string(placed))
	for message, want := range map[string]int{"finding": 1, "finding is gone": 1} {
		if got := service.told(message, id); got != want {
			t.Errorf("got %q of order %s %d times, want %d", message, id, got, want)
		}
	}
	if service.told("the databases could not be compared", "") == 0 {
		t.Error("got nothing told of the database that was away")
	}
}

func healthy(t *testing.T, address string) (string, error) {
	t.Helper()
	cmd, _ := sagactl(t, "healthcheck", address)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// served is a service, and its log.
type served struct {
	address string
	lines   *bufio.Scanner
	reading sync.WaitGroup
	log     []line // complete when reading is done
}

type line struct {
	Msg, Admin string
	OrderID    string `json:"order_id"`
}

// awaitAddress reads the log up to the line that says it, and the rest beside the test.
func (s *served) awaitAddress(t *testing.T) string {
	t.Helper()
	for s.lines.Scan() {
		var l line
		if err := json.Unmarshal(s.lines.Bytes(), &l); err != nil {
			t.Fatalf("%q: %v", s.lines.Text(), err)
		}
		if l.Msg != "serving" {
			continue
		}
		s.reading.Go(func() {
			for s.lines.Scan() {
				var l line
				if json.Unmarshal(s.lines.Bytes(), &l) == nil {
					s.log = append(s.log, l)
				}
			}
		})
		return l.Admin
	}
	t.Fatal("it ended before it served")
	return ""
}

func (s *served) told(message, id string) (times int) {
	for _, l := range s.log {
		if l.Msg == message && l.OrderID == id {
			times++
		}
	}
	return times
}

// await asks for a page until it has all that is wanted.
func (s *served) await(t *testing.T, path string, wants ...string) {
	t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(time.Minute)
	page := ""
	for {
		if reply, err := http.Get("http://" + s.address + path); err == nil {
			text, _ := io.ReadAll(reply.Body) // what is missing is asked for again
			reply.Body.Close()
			page = string(text)
		}
		missing := ""
		for _, want := range wants {
			if !strings.Contains(page, want) {
				missing = want
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("%s: got\n%s\nwant %q", path, page, missing)
		}
	}
}

// What means nothing together is refused, and says what to do.
func TestReconcileRefusesWhatMeansNothingTogether(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--listen without --every":  {"--listen", "127.0.0.1:0"},
		"--repair with --every":     {"--every", "1m", "--repair"},
		"--json with --every":       {"--every", "1m", "--json"},
		"--full-every: got 1s":      {"--every", "1m", "--full-every", "1s"},
		"--every: got -1m":          {"--every=-1m"},
		"--listen: got \"nowhere\"": {"--every", "1m", "--listen", "nowhere"},
	} {
		cmd, _ := sagactl(t, append([]string{"reconcile"}, args...)...)
		if output, err := cmd.CombinedOutput(); codeOf(err) != 2 || !strings.Contains(string(output), want) {
			t.Errorf("%q: got %v\n%s\nwant exit 2, and %q", args, err, output, want)
		}
	}
}
