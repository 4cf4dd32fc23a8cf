// Package slow is how long tests take: `make check` is run between two edits and must not take a minute, `make test`
// is what CI waits for, and `make test-long` may take as long as it likes.
//
// Its promise: a test that is left out says so, and why it is slow; make check and make test tell how many were.
package slow

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// Variable is set in the environment by make test-long.
const Variable = "HOSHO_TEST_LONG"

// Times returns how often a test does what it does again and again: usual, or long where make test-long asks for it.
func Times(usual, long int) int {
	if os.Getenv(Variable) != "" {
		return long
	}
	return usual
}

// Walks sets how many walks at random each test of a package makes with rapid: usual, or rapid's hundred where make
// test-long asks for it, or what -rapid.checks says. It is called before the flags are parsed.
func Walks(usual int) {
	if err := flag.Set("rapid.checks", strconv.Itoa(Times(usual, 100))); err != nil {
		panic(err) // the package has no such walks
	}
}

// Test marks the test that calls it as slow: under -short it ends here. why completes "this test ...", as in
// "kills real processes".
func Test(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("left out by -short: it %s", why)
	}
}

// Long marks the test that calls it as one that only make test-long runs: CI has no time for it, and what it shows is
// shown by faster ones in part. why is as Test has it.
func Long(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(Variable) == "" {
		t.Skipf("left to make test-long: it %s", why)
	}
}
