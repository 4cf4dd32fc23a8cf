//go:build failpoints

package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A process reaches a point that its file arms, and dies there of SIGKILL.
func TestAProcessDiesAtItsPoint(t *testing.T) {
	const child = "HOSHO_FAILPOINT_CHILD"
	if os.Getenv(child) != "" {
		Here(PlaceBefore) // not asked for
		Here(CancelBetween)
		os.Exit(0)
	}
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte("cancel.between=kill"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAProcessDiesAtItsPoint$")
	cmd.Env = append(os.Environ(), child+"=1", Variable+"="+file)
	err := cmd.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("got %v, want it killed", err)
	}
}

// A process stands still at a point that its file arms, and not behind it, and goes on from there.
func TestAProcessStandsStillAtItsPoint(t *testing.T) {
	const child = "HOSHO_FAILPOINT_STOPPED_CHILD"
	if passed := os.Getenv(child); passed != "" {
		Here(SettleInside)
		if err := os.WriteFile(passed, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		os.Exit(42)
	}
	file, passed := filepath.Join(t.TempDir(), "rules"), filepath.Join(t.TempDir(), "passed")
	if err := os.WriteFile(file, []byte("settle.inside=stop"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAProcessStandsStillAtItsPoint$")
	cmd.Env = append(os.Environ(), child+"="+passed, Variable+"="+file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("got status %v, %v, want it stopped", status, err)
	}
	if _, err := os.Stat(passed); err == nil {
		t.Error("it stopped behind its point")
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 42 {
		t.Errorf("got %v, want it to go on", err)
	}
}

// What is dropped does nothing at its point, and is lost where somebody asks.
func TestWhatIsDroppedIsLostWhereSomebodyAsks(t *testing.T) {
	rules, err := parse("inbox.fetched=drop")
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(&rules)
	t.Cleanup(func() { armed.Store(nil) })
	Here(InboxFetched)
	if !Drops(InboxFetched) || Drops(InboxHandled) {
		t.Errorf("got %v and %v, want what was asked for dropped, and nothing else", Drops(InboxFetched),
			Drops(InboxHandled))
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	rules, err := parse(" cancel.between=kill; charge.before=hold(5s)@0.5;charge.before=panic@0.001;")
	if err != nil {
		t.Fatal(err)
	}
	if got := rules[ChargeBefore]; len(got) != 2 || got[0].probability != 0.5 || got[1].probability != 0.001 {
		t.Errorf("got %+v, want the two rules of charge.before", got)
	}
	if got := rules[CancelBetween]; len(got) != 1 || got[0].probability != 1 {
		t.Errorf("got %+v, want the one rule of cancel.between, always", got)
	}
	for text, want := range map[string]string{
		"cancel.beween=kill":       "one of the points",
		"cancel.between":           "and an action",
		"cancel.between=die":       `got the action "die"`,
		"cancel.between=kill@x":    "invalid syntax",
		"cancel.between=hold(5)":   "missing unit",
		"cancel.between=hold(5s)@": "invalid syntax",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}
