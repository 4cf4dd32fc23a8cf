package stack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// What was built from this tree is taken, with the flags that are asked for. What was built from another is not, nor
// what was built in another way: go build, which only prints here (-n), leaves nothing.
func TestWhatIsBuiltAlreadyIsTaken(t *testing.T) {
	slow.Test(t, "asks the go command")
	root, err := stack.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", "-n")
	for _, tt := range []struct{ tree, flags, want string }{
		{root, "", "plain"},
		{root, "-tags failpoints", "failpoints"},
		{root, "-tags failpoints -trimpath", ""},
		{t.TempDir(), "", ""},
	} {
		built, bin := t.TempDir(), t.TempDir()
		t.Setenv(stack.Built, built)
		if err := os.Symlink(tt.tree, filepath.Join(built, "tree")); err != nil {
			t.Fatal(err)
		}
		for _, program := range []string{"orderd", "paymentd", "relay"} {
			put(t, filepath.Join(built, "plain", program), "plain")
			put(t, filepath.Join(built, "failpoints", program), "failpoints")
		}
		if err := stack.Build(t.Context(), bin, strings.Fields(tt.flags)...); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(bin, "relay"))
		if err != nil && !os.IsNotExist(err) || string(got) != tt.want {
			t.Errorf("with %q, of %s: got %q, %v; want %q", tt.flags, tt.tree, got, err, tt.want)
		}
	}
}
