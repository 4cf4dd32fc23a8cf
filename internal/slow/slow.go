// Package slow leaves tests out of `make check`, which is run between two edits and must not take a minute.
//
// Its promise: a test is left out only when -short asks for that, and then it says so, and why it is slow.
package slow

import "testing"

// Test marks the test that calls it as slow: under -short it ends here. why completes "this test ...", as in
// "kills real processes".
func Test(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("left out by -short: it %s", why)
	}
}
