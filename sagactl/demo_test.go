package main

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"hosho/internal/slow"
)

// The naive way without its cancellation, whose damage is left to see, ends with the code of what differs.
func TestNaiveDemoExits1(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes, as the demo's own tests do")
	cmd, tmp := sagactl(t, "demo", "--naive", "--no-compensation")
	if output, err := cmd.CombinedOutput(); codeOf(err) != 1 {
		t.Errorf("got %v, want exit code 1\n%s", err, output)
	}
	leavesNothing(t, tmp)
}

func TestInterruptedDemoLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes")
	cmd, tmp := sagactl(t, "demo")
	seen := newWatcher("PENDING")
	cmd.Stdout = seen
	interrupt(t, cmd, begin(t, cmd, seen))
	leavesNothing(t, tmp)
}

// Whoever reads the first line of the demo and goes ends it, as somebody does who has seen enough.
func TestADemoThatNobodyWatchesEnds(t *testing.T) {
	t.Parallel()
	slow.Test(t, "builds the daemons")
	cmd, tmp := sagactl(t, "demo")
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Error(err)
	}
	if err := output.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); codeOf(err) != 2 {
		t.Errorf("got %v, want exit code 2", err)
	}
	leavesNothing(t, tmp)
}

// What cannot be written is not done: nobody has read it.
func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"version", "--help", "chaos --list"} {
		closed, open, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		checkUnwritten(t, verb, open)
		open.Close()
		if full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil { // Linux has it
			checkUnwritten(t, verb, full)
			full.Close()
		}
	}
}

func checkUnwritten(t *testing.T, verb string, output *os.File) {
	t.Helper()
	cmd, _ := sagactl(t, strings.Fields(verb)...)
	cmd.Stdout = output
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); codeOf(err) != 2 || !strings.Contains(said.String(), "write ") {
		t.Errorf("%s to %s: got %v, %q; want exit code 2, and what was not written", verb, output.Name(), err, &said)
	}
}
