package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hosho/internal/lab/chaos"
	"hosho/internal/lab/mutant"
	"hosho/internal/slow"
)

// A person breaks a system for a moment, and a script reads what came of it.
func TestChaos(t *testing.T) {
	t.Parallel()
	slow.Long(t, "breaks a whole system, as the test of chaos itself does")
	file := filepath.Join(t.TempDir(), "result.json")
	cmd, tmp := sagactl(t, "chaos", "--quick", "--duration", "1s", "--length", "1s", "--seed", "5", "--clients", "4",
		"--faults", "kill-relay,crash-payments", "--json", file)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, want := range []string{"seed 5", "+ kill-relay", "recovered:", "0 lost", "Nothing was lost"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("got\n%s\nwant %q", output, want)
		}
	}
	if strings.Contains(string(output), "\x1b") {
		t.Error("got escape sequences in a pipe")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var result map[string]any
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		"seed", "orders", "faults", "kills", "violations", "lost_acknowledged", "recovery_ms", "amplification",
	} {
		if _, ok := result[field]; !ok {
			t.Errorf("got %s\nwant the field %s", text, field)
		}
	}
	lost := result["violations"] != 0.0 || result["lost_acknowledged"] != 0.0
	if lost || result["kills"] == 0.0 || result["orders"] == 0.0 {
		t.Errorf("got %s\nwant orders and kills, and nothing lost", text)
	}
	leavesNothing(t, tmp)
}

func TestChaosTellsWhatItCanDo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--list"}, 0, []string{"kill-relay", "not in the mix", "cut-commit"}},
		{[]string{"--schedule", "--seed", "7"}, 0, []string{"seed 7", "  1  ", " after "}},
		{[]string{"--faults", "expired-certificate"}, 2, []string{"nobody has a certificate: --tls gives one"}},
		{[]string{"--faults", "kill-relais"}, 2, []string{`fault "kill-relais": there is no such fault; there are `}},
		{[]string{"--duration", "0s"}, 2, []string{"--duration: got 0s, want more than 0"}},
		{[]string{"--relays", "0"}, 2, []string{"--relays: got 0, want at least 1"}},
		{[]string{"--clients", "0"}, 2, []string{"--clients: got 0, want at least 1"}},
		{[]string{"--faults", "none", "--schedule", "--seed", "7"}, 0, []string{"seed 7"}},
		{[]string{"--faults", "none,panic"}, 2, []string{`fault "none": there is no such fault`, "none alone"}},
		{[]string{"--faults", "no-reconcile"}, 2, []string{"nobody compares the databases: --alerts has"}},
		{[]string{"--expect", "none"}, 2, []string{"nobody looks for alerts: --alerts has"}},
		{[]string{"--alerts", "--alerts-scale", "0"}, 2, []string{"--alerts-scale: got 0, want at least 1"}},
		{[]string{"--alerts", "--expect", "Hosho"}, 2, []string{`got "Hosho", want some of HoshoBreakerOpen`}},
		{[]string{"--alerts", "--expect", "none,HoshoBreakerOpen"}, 2, []string{"got none beside alerts"}},
		{[]string{"--length=-1s"}, 2, []string{"--length: got -1s, want 0 or more"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			cmd, tmp := sagactl(t, append([]string{"chaos"}, tt.args...)...)
			output, err := cmd.CombinedOutput()
			if got := codeOf(err); got != tt.code {
				t.Errorf("got exit %d, want %d\n%s", got, tt.code, output)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(output), want) {
					t.Errorf("got\n%s\nwant %q", output, want)
				}
			}
			leavesNothing(t, tmp)
		})
	}
}

// Each mutant is hunted with faults that there are.
func TestMutantsAreHuntedWithKnownFaults(t *testing.T) {
	t.Parallel()
	for _, m := range mutant.All {
		config := chaos.Config{Seed: 1, Faults: m.Faults, Pace: chaos.Quick(), Duration: 1, Transport: m.Transport}
		if _, err := chaos.Schedule(config); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	cmd, _ := sagactl(t, "mutants", "no-such-mutant")
	output, err := cmd.CombinedOutput()
	if codeOf(err) != 2 || !strings.Contains(string(output), `there is no mutant "no-such-mutant"`) {
		t.Errorf("got %v\n%s\nwant it to say that there is none", err, output)
	}
}

// Whoever is to see it again is given the command with everything that the schedule depends on.
func TestTheCommandMakesTheSameScheduleAgain(t *testing.T) {
	t.Parallel()
	c := chaosRun{
		Seed: 7, Duration: time.Minute, Relays: 2, Clients: 32, Quick: true, TLS: true, Length: time.Second,
		Faults: []string{"kill-relay", "expired-certificate"},
	}
	const want = "sagactl chaos --seed 7 --duration 1m0s --relays 2 --clients 32 " +
		"--faults kill-relay,expired-certificate --length 1s --quick --tls"
	if got := c.again(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is expected and does not come is as wrong as what comes and is not expected, and what may come is neither.
func TestAlertsAreHeldAgainstWhatIsExpected(t *testing.T) {
	t.Parallel()
	fired := []chaos.Alert{{Name: "A", Labels: "kind=1"}, {Name: "A", Labels: "kind=2"}, {Name: "B"}}
	for expect, want := range map[string]string{
		"": "", "A,B": "", "A,B,C?": "", "A,B?": "", "A,B,C": "C did not fire", "A": "B fired",
		"none": "A fired, B fired", "C": "A fired, B fired, C did not fire",
	} {
		w := watching{Alerts: true}
		if expect != "" {
			w.Expect = strings.Split(expect, ",")
		}
		got := ""
		if err := w.unexpected(fired); err != nil {
			_, got, _ = strings.Cut(err.Error(), ": ")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", expect, got, want)
		}
	}
	if err := (&watching{Alerts: true, Expect: []string{"none"}}).unexpected(nil); err != nil {
		t.Errorf("nothing fired, and none was expected: got %v", err)
	}
}
