package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// LISTEN goes to the database's own URL, unless a flag or a variable names another way there. A flag wins.
func TestWhereToListenMayBeAnotherURL(t *testing.T) {
	t.Parallel()
	const direct, other = "postgres://bob@localhost/direct", "postgres://bob@localhost/other"
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(direct+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const variable = "SAMPLED_LISTEN_DATABASE_URL"
	for _, test := range []struct {
		environment, args []string
		want              string
	}{
		{nil, nil, url},
		{[]string{variable + "=" + direct}, nil, direct},
		{[]string{variable + "_FILE=" + file}, nil, direct},
		{nil, []string{"--listen-database-url=" + direct}, direct},
		{nil, []string{"--listen-database-url-file=" + file}, direct},
		{[]string{variable + "=" + other}, []string{"--listen-database-url-file=" + file}, direct},
		{[]string{variable + "_FILE=/none"}, []string{"--listen-database-url=" + direct}, direct},
	} {
		line := start(t, test.environment, append(test.args, "--database-url="+url)...).first
		if line["msg"] != "serving" || line["database"] != url || line["listening"] != test.want {
			t.Errorf("%v %v: got %v, want it to serve %s and to listen at %s", test.environment, test.args, line, url,
				test.want)
		}
	}
}

// What can never work is refused at the start, and not complained of for ever.
func TestAURLToListenAtThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		environment []string
		want        string
	}{
		{[]string{"SAMPLED_LISTEN_DATABASE_URL=direct.example"}, "LISTEN: database URL: got neither a URL nor"},
		{[]string{"SAMPLED_LISTEN_DATABASE_URL_FILE=/none"}, "SAMPLED_LISTEN_DATABASE_URL_FILE: open /none"},
		{
			[]string{"SAMPLED_LISTEN_DATABASE_URL=" + url, "SAMPLED_LISTEN_DATABASE_URL_FILE=/none"},
			"SAMPLED_LISTEN_DATABASE_URL and SAMPLED_LISTEN_DATABASE_URL_FILE can't be used together",
		},
	} {
		_, stderr, code := run(t, append(test.environment, "SAMPLED_DATABASE_URL="+url))
		wantIn(t, stderr, test.want)
		if code != 1 || strings.Contains(stderr, "hunter2") {
			t.Errorf("%v: got exit %d and %q, want 1 and no password", test.environment, code, stderr)
		}
	}
}
