//go:build !failpoints

package failpoint

// Here is a failpoint that was left out of this build.
func Here(Point) {}
