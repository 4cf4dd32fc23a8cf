package chaos

import "golang.org/x/sys/unix"

// limitFiles bounds how many files and connections a running process may have open.
func limitFiles(pid int, n uint64) error {
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}, nil)
}
