package failpoint_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"hosho/internal/failpoint"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// A daemon that is built for use does not even know the variable that would arm its failpoints; one that is built with
// the tag does.
func TestAReleaseHasNoFailpoints(t *testing.T) {
	slow.Test(t, "builds the daemons twice")
	t.Parallel()
	for _, tt := range []struct {
		flags []string
		want  bool
	}{{nil, false}, {[]string{"-tags", failpoint.Tag}, true}} {
		bin := t.TempDir()
		if err := stack.Build(t.Context(), bin, tt.flags...); err != nil {
			t.Fatal(err)
		}
		program, err := os.ReadFile(filepath.Join(bin, "relay"))
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(program, []byte(failpoint.Variable)); got != tt.want {
			t.Errorf("built with %q: got failpoints %t, want %t", tt.flags, got, tt.want)
		}
	}
}
