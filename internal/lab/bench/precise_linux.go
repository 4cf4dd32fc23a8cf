package bench

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sleep waits on the thread that it runs on. Go's own timers are up to a millisecond late on an idle machine, which
// would count as latency of a call that is due then.
func sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	span := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&span, nil) // one that a signal ends early is repeated by whoever looks at the time
}

// datasync has the disk keep what was written to a file.
func datasync(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }
