//go:build !failpoints

package failpoint

// Here is a failpoint that was left out of this build.
func Here(Point) {}

// Drops is another one: nothing is lost here.
func Drops(Point) bool { return false }
