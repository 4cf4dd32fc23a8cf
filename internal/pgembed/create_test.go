package pgembed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The socket goes where there is room for it: /tmp may be read-only, and the one of TMPDIR too long for its name.
func TestTheSocketGoesWhereItCan(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	long, short := filepath.Join(root, strings.Repeat("long", 20)), filepath.Join(root, "a,b")
	for _, dir := range []string{long, short} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		parents   []string
		want, say string
	}{
		{parents: []string{"/proc", long, "", short}, want: short},
		{parents: []string{short, "/proc"}, want: short},
		{parents: []string{"/proc", long}, say: "is too long for a socket, want 88 bytes at most"},
		{parents: []string{"/nowhere"}, say: "(TMPDIR may name one)"},
	}
	for _, tt := range tests {
		s := &Server{}
		err := s.createSockets(tt.parents...)
		if tt.want != "" && (err != nil || filepath.Dir(s.sockets) != tt.want) {
			t.Errorf("%v: got %q, %v; want it in %s", tt.parents, s.sockets, err, tt.want)
		}
		if tt.say != "" && (err == nil || !strings.Contains(err.Error(), tt.say)) {
			t.Errorf("%v: got %v, want an error with %q", tt.parents, err, tt.say)
		}
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	}
}
