package slow_test

import (
	"flag"
	"testing"

	"hosho/internal/slow"
)

func TestShortLeavesSlowTestsOut(t *testing.T) {
	short := flag.Lookup("test.short").Value
	asked := short.String()
	t.Cleanup(func() { _ = short.Set(asked) })
	for value, want := range map[string]bool{"true": true, "false": false} {
		if err := short.Set(value); err != nil {
			t.Fatal(err)
		}
		r := &recorder{TB: t}
		if slow.Test(r, "kills real processes"); r.leftOut != want {
			t.Errorf("-short=%s: got left out %v, want %v", value, r.leftOut, want)
		}
	}
}

func TestLongIsAskedForByTheEnvironment(t *testing.T) {
	for value, want := range map[string]int{"": 3, "1": 30} {
		t.Setenv(slow.Variable, value)
		if got := slow.Times(3, 30); got != want {
			t.Errorf("%s=%q: got %d times, want %d", slow.Variable, value, got, want)
		}
		r := &recorder{TB: t}
		if slow.Long(r, "waits for an hour"); r.leftOut != (value == "") {
			t.Errorf("%s=%q: got left out %v, want %v", slow.Variable, value, r.leftOut, value == "")
		}
	}
}

// recorder is a test that notes whether it was left out.
type recorder struct {
	testing.TB
	leftOut bool
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(string, ...any) { r.leftOut = true }
