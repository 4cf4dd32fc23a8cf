package daemon_test

import (
	"strings"
	"testing"
)

const away = "postgres://alice:hunter2@db.example/orders"

// A URL without sslmode leads to plaintext, and nobody has chosen that. It is refused before anything is connected.
func TestADatabaseOffLoopbackWantsTLS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environment, args []string
	}{
		{nil, []string{"--database-url=" + away}},
		{nil, []string{"--database-url=" + away + "?sslmode=require"}},
		{[]string{"SAMPLED_DATABASE_URL=" + away}, []string{"migrate"}},
		{nil, []string{"--database-url=" + url, "--listen-database-url=" + away}},
	} {
		_, stderr, code := run(t, tt.environment, tt.args...)
		wantIn(t, stderr, "host db.example is off loopback: want sslmode=verify-full")
		wantIn(t, stderr, "--insecure-database")
		if code != 1 || strings.Contains(stderr, "hunter2") {
			t.Errorf("%v %v: got exit %d and %q, want 1 and no password", tt.environment, tt.args, code, stderr)
		}
	}
	line := start(t, nil, "--database-url="+away+"?sslmode=verify-full").first
	if line["msg"] != "serving" {
		t.Errorf("verify-full: got %v, want it to serve", line)
	}
}

// Somebody insists, by a flag or the environment. Each start says so.
func TestAnInsecureDatabaseIsToldAtEachStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environment, args []string
	}{
		{nil, []string{"--database-url=" + away, "--insecure-database"}},
		{
			[]string{"SAMPLED_INSECURE_DATABASE=true"},
			[]string{"--database-url=" + url, "--listen-database-url=" + away},
		},
	} {
		line := start(t, tt.environment, tt.args...).first
		if line["level"] != "WARN" || line["host"] != "db.example" || line["means"] == nil || line["do"] == nil {
			t.Errorf("%v %v: got %v, want a WARN that says what it means and what to do", tt.environment, tt.args, line)
		}
	}
}
