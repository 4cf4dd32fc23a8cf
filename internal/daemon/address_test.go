package daemon_test

import (
	"strings"
	"testing"
)

// An address that can never work is refused at the start, in the first line, whether or not it is empty.
func TestAddressesThatCanNeverWorkAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"SAMPLED_LISTEN=": `--listen: got "", want host:port, or :port for every interface: it is empty; ` +
			`unset, it is 127.0.0.1:1 (from envar SAMPLED_LISTEN="")`,
		"SAMPLED_LISTEN=127.0.0.1":           `--listen: got "127.0.0.1", want host:port`,
		"SAMPLED_LISTEN= ":                   `--listen: got " ", want host:port`,
		"SAMPLED_ADMIN_LISTEN=127.0.0.1:met": `--admin-listen: got "127.0.0.1:met", want host:port`,
		"SAMPLED_PEER=":                      `--peer: got "", want host:port: it is empty; unset, it is 127.0.0.1:3`,
		"SAMPLED_PEER=http://127.0.0.1:1":    `--peer: got "http://127.0.0.1:1", want host:port`,
	} {
		_, stderr, code := run(t, []string{setting}, "serve", "--database-url", url)
		if !strings.HasPrefix(stderr, "sampled: error: "+want) || code == 0 {
			t.Errorf("%s: got %q, exit %d; want it refused: %s", setting, stderr, code, want)
		}
	}
	_, stderr, code := run(t, nil, "serve", "--database-url", url, "--listen=")
	if wantIn(t, stderr, `--listen: got ""`); code != 80 {
		t.Errorf("--listen=: got exit %d, want 80", code)
	}
}

// An empty address of metrics alone has a meaning: there are none. What another command would refuse is none of this.
func TestAnEmptyAdminAddressIsNone(t *testing.T) {
	t.Parallel()
	got := start(t, []string{"SAMPLED_ADMIN_LISTEN="}, "--database-url", url).first
	if got["msg"] != "serving" || got["admin"] != "" {
		t.Errorf("got %v, want it to serve without metrics", got)
	}
	if _, stderr, code := run(t, []string{"SAMPLED_LISTEN=", "SAMPLED_PEER="}, "version"); code != 0 {
		t.Errorf("version: got exit %d, %s; want 0", code, stderr)
	}
}
