package stage_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hosho/internal/console"
	"hosho/internal/lab/stack"
	"hosho/internal/lab/stage"
	"hosho/internal/slow"
)

var bin string // the daemons

func TestMain(m *testing.M) {
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
	bin = filepath.Join(dir, "bin")
	if err := stack.Build(context.Background(), bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// theatre is a system and its stage.
type theatre struct {
	*stack.Stack
	stage *stage.Stage
	links *stage.Links
	told  chan string // what the stage tells of the background
}

// open starts a system as up does, whose faults last as long as is said. The test fails when it does not stop in order.
func open(t *testing.T, tls bool, lasts time.Duration) *theatre {
	t.Helper()
	slow.Long(t, "runs the whole system as processes, and the other way beside it")
	folder, err := stack.NewFolder("stage")
	if err != nil {
		t.Fatal(err)
	}
	h := &theatre{links: &stage.Links{}, told: make(chan string, 100)}
	h.Stack, err = stack.Start(t.Context(), stack.Config{
		Bin: bin, Dir: folder.Path(), Durable: true, Relays: 1, Simulate: stack.Simulate, TLS: tls,
		Route: h.links.Route,
	})
	if err != nil {
		t.Fatal(errors.Join(err, h.links.Close(), folder.Remove()))
	}
	h.stage = stage.New(h.Stack, h.links, lasts, func(text string) { h.told <- text })
	t.Cleanup(func() {
		if err := errors.Join(h.stage.Close(), h.Stop(), h.links.Close(), folder.Remove()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// order places an order in both worlds.
func (h *theatre) order(t *testing.T, amount int64) {
	t.Helper()
	if id, err := h.stage.Order(t.Context(), amount); err != nil || id == "" {
		t.Fatalf("an order of %d: got %q, %v; want an id", amount, id, err)
	}
}

// books waits for what both worlds come to when nothing is under way.
func (h *theatre) books(t *testing.T) console.Twin {
	t.Helper()
	var both console.Twin
	until(t, "every order is settled", func() bool {
		var err error
		if both, err = h.stage.Twin(t.Context()); err != nil {
			t.Fatal(err)
		}
		return settled(both.Left) && settled(both.Right)
	})
	return both
}

func settled(b console.Books) bool { return b.Orders["PENDING"] == 0 && b.Orders["CANCELLING"] == 0 }

// placed are all orders that there are.
func placed(b console.Books) (n int64) {
	for _, count := range b.Orders {
		n += count
	}
	return n
}

// fault returns how a fault stands.
func (h *theatre) fault(t *testing.T, name string) console.Fault {
	t.Helper()
	for _, f := range h.stage.Faults() {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("there is no fault %s", name)
	return console.Fault{}
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-poll.C:
		}
	}
}
