//go:build !linux

package chaos

// limitFiles is for Linux: elsewhere the limits of a running process cannot be changed.
func limitFiles(int, uint64) error { return nil }
