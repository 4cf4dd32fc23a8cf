package hostile_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

var bin string // the daemons, built as for use

func TestMain(m *testing.M) {
	if assigned := os.Getenv(assignment); assigned != "" {
		os.Exit(attack(assigned))
	}
	flag.Parse()
	if testing.Short() { // every test leaves itself out, and nothing need be built
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

// run builds the daemons once for every test.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hosho-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := stack.Build(context.Background(), bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start starts the whole system. What hangs at the card network keeps its order open.
func start(t *testing.T) *stack.Stack {
	t.Helper()
	slow.Test(t, "runs the whole system as processes")
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) { // the databases may run as another user
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, err := stack.Start(t.Context(), stack.Config{
		Bin: bin, Dir: dir, Admin: true, Relays: 1, Simulate: stack.Simulate,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}
