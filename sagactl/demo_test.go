package main

import (
	"os"
	"testing"
)

// The naive way without its cancellation, whose damage is left to see, ends with the code of what differs.
func TestNaiveDemoExits1(t *testing.T) {
	t.Parallel()
	cmd, tmp := sagactl(t, "demo", "--naive", "--no-compensation")
	if output, err := cmd.CombinedOutput(); codeOf(err) != 1 {
		t.Errorf("got %v, want exit code 1\n%s", err, output)
	}
	leavesNothing(t, tmp)
}

func TestInterruptedDemoLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	cmd, tmp := sagactl(t, "demo")
	seen := &watcher{want: "PENDING", found: make(chan struct{})}
	cmd.Stdout = seen
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case <-seen.found:
	case err := <-exited:
		t.Fatalf("ended before its first order: %v", err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; codeOf(err) != 130 {
		t.Errorf("got %v, want exit code 130", err)
	}
	leavesNothing(t, tmp)
}
