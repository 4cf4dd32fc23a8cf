package terminal

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// readerPoll bounds how late it is noticed that a context has ended.
const readerPoll = 200 * time.Millisecond

// AwaitLeaving returns true when nobody can read what is written any more, although nothing is written: the other end
// of the pipe was closed, or the terminal. It returns false when ctx ends, and where that cannot be told. A file is
// always read.
func (t *Terminal) AwaitLeaving(ctx context.Context) bool {
	for ctx.Err() == nil {
		output := []unix.PollFd{{Fd: int32(t.out.Fd())}} // what is looked for is told without being asked for
		_, err := unix.Poll(output, int(readerPoll.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || output[0].Revents&unix.POLLNVAL != 0:
			return false
		case output[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
			return true
		}
	}
	return false
}
