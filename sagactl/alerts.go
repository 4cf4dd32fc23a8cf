package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hosho/internal/lab/alerts"
	"hosho/internal/lab/chaos"
	"hosho/internal/terminal"
)

// watching is how chaos looks for alerts.
type watching struct {
	Alerts      bool     `help:"Have a Prometheus evaluate the alert rules beside the system, and tell what fired."`
	AlertsScale int      `default:"60" help:"By how much each duration of the rules is divided." placeholder:"N"`
	Expect      []string `help:"Fail unless these fire and no other; NAME?: may; none: none may." placeholder:"LIST"`
}

const (
	nothing = "none" // is what to expect where no alert is to fire
	may     = "?"    // is at the end of an alert that may fire, or not
)

// Validate is called by kong.
func (w *watching) Validate() error {
	if !w.Alerts && (len(w.Expect) > 0 || w.AlertsScale != 60) {
		return errors.New("--expect and --alerts-scale: nobody looks for alerts: --alerts has somebody do so")
	}
	if w.AlertsScale < 1 {
		return fmt.Errorf("--alerts-scale: got %d, want at least 1", w.AlertsScale)
	}
	known := append(alerts.Names(), nothing)
	for _, name := range w.Expect {
		if !slices.Contains(known, strings.TrimSuffix(name, may)) {
			return fmt.Errorf("--expect: got %q, want some of %s", name, strings.Join(known, ", "))
		}
	}
	if len(w.Expect) > 1 && slices.Contains(w.Expect, nothing) {
		return fmt.Errorf("--expect: got %s beside alerts, want one of the two", nothing)
	}
	return nil
}

// scale is chaos.Config's.
func (w *watching) scale() int {
	if !w.Alerts {
		return 0
	}
	return w.AlertsScale
}

// print prints which alerts fired.
func (w *watching) print(screen *terminal.Terminal, fired []chaos.Alert) {
	if !w.Alerts {
		return
	}
	if len(fired) == 0 {
		screen.Line("alerts    none fired")
		return
	}
	screen.Line("")
	table := screen.Table(0)
	table.Row("alert\tafter\tfor\t")
	for _, a := range fired {
		table.Row("%s\t%s\t%s\t%s", a.Name, a.First.Round(100*time.Millisecond), a.For, a.Labels)
	}
	table.Flush()
}

// unexpected returns what fired and was not expected, and the other way round; nil where nothing was.
func (w *watching) unexpected(fired []chaos.Alert) error {
	if len(w.Expect) == 0 {
		return nil
	}
	names := map[string]bool{}
	var wrong []string
	for _, a := range fired {
		expected := slices.Contains(w.Expect, a.Name) || slices.Contains(w.Expect, a.Name+may)
		if !names[a.Name] && !expected {
			wrong = append(wrong, a.Name+" fired")
		}
		names[a.Name] = true
	}
	for _, name := range w.Expect {
		if name != nothing && !strings.HasSuffix(name, may) && !names[name] {
			wrong = append(wrong, name+" did not fire")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("want %s: %s", strings.Join(w.Expect, ", "), strings.Join(wrong, ", "))
}

// again is what the command has for it.
func (w *watching) again() string {
	if !w.Alerts {
		return ""
	}
	command := " --alerts"
	if w.AlertsScale != 60 {
		command += fmt.Sprintf(" --alerts-scale %d", w.AlertsScale)
	}
	if len(w.Expect) > 0 {
		command += " --expect " + strings.Join(w.Expect, ",")
	}
	return command
}

// alertResult is the JSON of an alert that fired.
type alertResult struct {
	Alert   string `json:"alert"`
	Labels  string `json:"labels,omitempty"`
	AfterMS int64  `json:"after_ms"`
	ForMS   int64  `json:"for_ms"`
}

func alertsOf(fired []chaos.Alert) []alertResult {
	results := []alertResult{}
	for _, a := range fired {
		results = append(results, alertResult{a.Name, a.Labels, a.First.Milliseconds(), a.For.Milliseconds()})
	}
	return results
}
