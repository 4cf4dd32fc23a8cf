package doctest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// masks are what may differ between a page and this run. The order matters: a time holds what looks like an address.
var masks = []struct {
	looks *regexp.Regexp
	as    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?` +
		`(Z|[+-]\d\d(:\d\d)?| [A-Z]{3,5}\b| [+-]\d{2,4}\b)?`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d(\.\d+)?\b`), "TIME"},
	{regexp.MustCompile(`/\S*/hosho-[\w-]+`), "FOLDER"},
	{regexp.MustCompile(`\b(\d+\.){3}\d+:\d+\b`), "ADDRESS"},
	{regexp.MustCompile(`\b[A-Za-z][\w.-]*:\d+\b`), "ADDRESS"}, // a relay's host and process, too
	{regexp.MustCompile(`\(devel\)|\bv\d+\.\d+\.\d+[\w.+-]*`), "VERSION"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+\b`), "DURATION"},
	{regexp.MustCompile(`--+`), "-"}, // the rule below a table's head
	{regexp.MustCompile(`\s+`), " "}, // and its columns
}

func mask(line string) string {
	for _, m := range masks {
		line = m.looks.ReplaceAllString(line, m.as)
	}
	return strings.TrimSpace(line)
}

// anything stands for any number of lines, and within a line for any text.
const anything = "..."

// differ returns what is wrong with the lines that were got, or "".
func differ(want, got []string) string {
	want, got = masked(want), masked(got)
	if matches(want, got) {
		return ""
	}
	return fmt.Sprintf("the page shows (masked)\n  %s\nand this run printed\n  %s",
		strings.Join(want, "\n  "), strings.Join(got, "\n  "))
}

func masked(lines []string) []string {
	var all []string
	for _, line := range lines {
		if line = mask(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func matches(want, got []string) bool {
	switch {
	case len(want) == 0:
		return len(got) == 0
	case want[0] == anything:
		return matches(want[1:], got) || len(got) > 0 && matches(want, got[1:])
	}
	return len(got) > 0 && holds(got[0], strings.Split(want[0], anything)) && matches(want[1:], got[1:])
}

func TestOutputIsCompared(t *testing.T) {
	tests := []struct{ want, got string }{
		{"order 01a20932-e8c8-76da-b1a4-47b2e3640735", "order 01a20999-0000-76da-b1a4-47b2e3640735"},
		{"2026-11-25 18:38:27.485  orderd  PENDING", "2027-01-01 00:00:00.001   orderd PENDING"},
		{"2026-11-25 18:38:27 UTC  x", "2026-11-25 20:38:27 CEST  x"},
		{"2026-11-25 18:38:27.485 UTC  x", "2026-11-25 20:38:27.485 +0330  x"},
		{"again in 38ms  by vm:7789", "again in 1.2s  by ci-12:31"},
		{"ORDERD=127.0.0.1:50051", "ORDERD=127.0.0.1:40001"},
		{"orderd  ready  (devel)", "orderd  ready  v0.0.0-20261126174305-45f6c14aabbc+dirty"},
		{"a\n...\nz", "a\nb\nc\nz"},
		{"a ... z\n{...}", "a b c z\n{}"},
		{"a\n...\nz", "a\nz"},
		{" status | count \n--------+-------\n PAID |  1", " status | count \n----+---\n PAID | 1"},
	}
	for _, tt := range tests {
		if finding := differ(strings.Split(tt.want, "\n"), strings.Split(tt.got, "\n")); finding != "" {
			t.Error(finding)
		}
	}
	for _, got := range []string{"", "a\nc\nz\n", "a\nb\n", "a\nb\nz\nz", "a\nb c\nzz"} {
		if differ([]string{"a", "b...", "z"}, strings.Split(got, "\n")) == "" {
			t.Errorf("got no finding for the output %q", got)
		}
	}
}
