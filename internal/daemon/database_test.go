package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheDatabaseMayBeNamedInAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("  "+url+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := start(t, nil, "--database-url-file", file).first["database"]; got != url {
		t.Errorf("got database %q, want %q", got, url)
	}
	if got := start(t, []string{"SAMPLED_DATABASE_URL_FILE=" + file}).first["database"]; got != url {
		t.Errorf("by the environment: got database %q, want %q", got, url)
	}
}

// The names by which a database may be given, in the order in which they count. Each line's first one wins.
func TestADaemonsOwnVariablesWinOverThoseOfItsDatabase(t *testing.T) {
	t.Parallel()
	const other = "postgres://bob:hunter2@127.0.0.1/orders"
	dir := t.TempDir()
	file, another, none := filepath.Join(dir, "url"), filepath.Join(dir, "other"), filepath.Join(dir, "none")
	for name, content := range map[string]string{file: url, another: other} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const own, shared = "SAMPLED_DATABASE_URL", "ORDERS_DATABASE_URL"
	tests := []struct {
		environment []string
		args        []string
		warns       bool
	}{
		{[]string{shared + "=" + url}, nil, false},
		{[]string{shared + "_FILE=" + file}, nil, false},
		{[]string{own + "=", shared + "=" + url}, nil, false},
		{[]string{own + "=" + url, shared + "=" + url}, nil, false},
		{[]string{own + "_FILE=" + file, shared + "=" + url}, nil, false},
		{[]string{own + "=" + url, shared + "=" + other}, nil, true},
		{[]string{own + "=" + url, shared + "_FILE=" + another}, nil, true},
		{[]string{own + "_FILE=" + file, shared + "=" + other}, nil, true},
		{[]string{own + "_FILE=" + file, shared + "_FILE=" + another}, nil, true},
		{[]string{own + "=" + url, shared + "_FILE=" + none}, nil, true},
		{[]string{own + "=" + other, shared + "=" + other}, []string{"--database-url=" + url}, false},
		{[]string{own + "_FILE=" + another, shared + "=" + other}, []string{"--database-url=" + url}, false},
		{[]string{own + "=" + other}, []string{"--database-url-file=" + file}, false},
	}
	for _, test := range tests {
		p := start(t, test.environment, test.args...)
		said, line := p.first, p.first
		if test.warns {
			line = p.line(t)
		}
		if line["msg"] != "serving" || line["database"] != url {
			t.Errorf("%v %v: got %v, want it to serve %s", test.environment, test.args, line, url)
		}
		if text := fmt.Sprint(said); test.warns && (said["level"] != "WARN" || said["used"] != own ||
			said["ignored"] != shared || strings.Contains(text, "hunter2")) {
			t.Errorf("%v: got %v, want a warning that %s is used and %s is not", test.environment, said, own, shared)
		}
	}
	_, stderr, code := run(t, []string{shared + "_FILE=" + none})
	wantIn(t, stderr, shared+"_FILE: open "+none)
	if code != 1 {
		t.Errorf("a file that is not there: got exit %d, want 1", code)
	}
}

// Which of the two is meant cannot be known, and one of them may be another database.
func TestAURLAndAFileUnderOneNameAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("postgres://bob@127.0.0.1/orders"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SAMPLED_DATABASE_URL", "ORDERS_DATABASE_URL"} {
		_, stderr, code := run(t, []string{name + "=" + url, name + "_FILE=" + file})
		wantIn(t, stderr, "sampled: "+name+" and "+name+"_FILE can't be used together")
		if code != 1 {
			t.Errorf("%s and %[1]s_FILE: got exit %d, want 1", name, code)
		}
	}
}

func TestADaemonWithoutADatabaseSaysHowToNameOne(t *testing.T) {
	t.Parallel()
	_, stderr, code := run(t, nil, "serve")
	wantIn(t, stderr, "sampled: no database given: set --database-url or --database-url-file", "--help")
	if code != 1 {
		t.Errorf("got exit %d, want 1", code)
	}
	_, stderr, code = run(t, nil, "serve", "--database-url-file", os.DevNull)
	wantIn(t, stderr, "--database-url-file: /dev/null is empty")
	if code != 1 {
		t.Errorf("an empty file: got exit %d, want 1", code)
	}
}
