package main

import (
	"strings"
	"testing"
)

// What cannot be measured is refused before anything is built, with what was got and wanted.
func TestWhatCannotBeMeasuredIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ args, want string }{
		{"--mode fast", `--mode: got "fast", want stream, wait, watch, create, http`},
		{
			"--scenario rain",
			`--scenario: got "rain", want one of idle, snapshot, rows, backlog, relays, watchers, console, hour`,
		},
		{"--duration=-1s", "--duration: got -1s, want 0 or more"},
		{"--rate=-1", "--rate: got -1, want 0 to 1000000"},
		{"--rate=NaN", "--rate: got NaN, want 0 to 1000000"},
		{"--clients 0", "--clients: got 0, want 1 to 100000"},
		{"--streams 0", "--streams: got 0, want 1 to 64"},
		{"--relays 65", "--relays: got 65, want 1 to 64"},
		{"--rows 0", "--rows: got 0, want 1 to 1000000000"},
		{"--backlog 0", "--backlog: got 0, want 1 to 100000000"},
		{"--watchers 20001", "--watchers: got 20001, want 1 to 20000"},
		{"--svg plots.svg --scenario idle", "--svg: got a scenario, want none"},
		{"--svg /nowhere/plots.svg", `--svg: got "/nowhere/plots.svg", want a file in a folder that is there`},
		{"--json .", `--json: got the folder ".", want a file`},
	}
	for _, tt := range tests {
		cmd, tmp := sagactl(t, append([]string{"bench"}, strings.Fields(tt.args)...)...)
		if output, err := cmd.CombinedOutput(); codeOf(err) != 2 || !strings.Contains(string(output), tt.want) {
			t.Errorf("%s: got %v\n%s\nwant exit code 2, and %q", tt.args, err, output, tt.want)
		}
		leavesNothing(t, tmp)
	}
}
