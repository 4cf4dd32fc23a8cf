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
		Here(PlaceBetween)
		os.Exit(0)
	}
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte("place.between=kill"), 0o644); err != nil {
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

func TestParse(t *testing.T) {
	t.Parallel()
	rules, err := parse(" place.between=kill; charge.before=hold(5s)@0.5;charge.before=panic@0.001;")
	if err != nil {
		t.Fatal(err)
	}
	if got := rules[ChargeBefore]; len(got) != 2 || got[0].probability != 0.5 || got[1].probability != 0.001 {
		t.Errorf("got %+v, want the two rules of charge.before", got)
	}
	if got := rules[PlaceBetween]; len(got) != 1 || got[0].probability != 1 {
		t.Errorf("got %+v, want the one rule of place.between, always", got)
	}
	for text, want := range map[string]string{
		"place.beween=kill":       "one of the points",
		"place.between":           "and an action",
		"place.between=die":       `got the action "die"`,
		"place.between=kill@x":    "invalid syntax",
		"place.between=hold(5)":   "missing unit",
		"place.between=hold(5s)@": "invalid syntax",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}
